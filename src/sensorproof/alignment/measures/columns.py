"""Every column of the table of measures: its name, unit and meaning. Table, rules and documentation follow it."""

from dataclasses import dataclass
from typing import Literal, get_args

Group = Literal[
    "frame", "image quality", "label", "registration", "deviation", "rig", "duplicate images", "time", "calibration"
]


@dataclass(frozen=True)
class Measure:
    """One column of the table of measures, which has a row per frame and pair."""

    name: str
    unit: str
    """`px`, `s`, `days`, `deg`, `%`; `share` from 0 to 1; `sd` standard deviations; `tolerances` of the pair's time;
    `count`; `0 or 1` for no and yes; `text`; empty without a unit."""
    meaning: str
    """One line in plain words."""
    group: Group


def _group(group: Group, *columns: tuple[str, str, str]) -> tuple[Measure, ...]:
    return tuple(Measure(name, unit, meaning, group) for name, unit, meaning in columns)


MEASURES = (
    *_group(
        "frame",
        ("batch", "text", "name of the batch"),
        ("frame_id", "text", "name of the frame"),
        ("site", "text", "place of the recording"),
        ("sequence", "text", "recording that the frame belongs to"),
        ("position", "count", "place of the frame in the order of the sequences, from 0"),
        ("reference", "text", "sensor that the others are compared with"),
        ("sensor", "text", "sensor of this row, or `label`"),
        ("file", "text", "path in frames.csv"),
        ("present", "0 or 1", "whether frames.csv names a file"),
        ("unreadable", "0 or 1", "whether the file could not be read"),
        ("sensors", "count", "sensors that have a file; in rows of the reference"),
        ("fault", "text", "why the file could not be read"),
    ),
    *_group(
        "image quality",
        ("invalid_share", "share", "invalid pixels"),
        ("saturated_share", "share", "valid pixels at or above the upper end of the sensor's range"),
        ("outside_share", "share", "valid pixels outside the sensor's range"),
        ("contrast", "share", "highest minus lowest value of any channel, relative to the range"),
        ("dead_lines", "share", "rows, or columns, with a single value; the larger of both"),
        ("height", "px", "height of the image or label"),
        ("width", "px", "width of the image or label"),
    ),
    *_group(
        "label",
        ("label_unknown_share", "share", "pixels with an id that is neither a class nor the ignore index"),
        ("label_coverage", "share", "pixels that are not ignored"),
        ("label_classes", "count", "classes that occur"),
    ),
    *_group(
        "image quality",
        ("image_change", "sd", "change since the previous frame, in standard deviations of the image"),
        ("scene_change", "sd", "largest such change of any other sensor"),
    ),
    *_group(
        "registration",
        ("match", "share", "height of the best match with the reference: 1 equal content, 0 nothing in common"),
        ("reliability", "0 to 100", "how clearly the best match beats the second best"),
        ("coverage", "share", "tiles that are reliable by themselves"),
        ("certainty", "sd", "lead of the best scale and rotation, in standard deviations of chance"),
        ("shift_y_px", "px", "displacement of the whole image, downwards"),
        ("shift_x_px", "px", "displacement of the whole image, to the right"),
        ("corner_px", "px", "displacement of the worst corner; length of the shift if scale and rotation are unknown"),
        ("scale_percent", "%", "how much larger the sensor shows the scene than the reference"),
        ("rotation_deg", "deg", "rotation of the image, clockwise"),
        ("corner_error_px", "px", "standard error of the displacement of the worst corner"),
        ("other_match", "share", "height of the best match with the reference of another frame"),
        ("other_position", "count", "position of that other frame"),
    ),
    *_group(
        "deviation",
        ("deviation_px", "px", "distance of the shift from the rig's shift"),
        ("deviation_limit_px", "px", "limit of deviation_px: critical, and more than the pair's own scatter"),
        ("corner_deviation_px", "px", "largest distance of a corner from where the rig displaces it"),
        ("corner_limit_px", "px", "limit of corner_deviation_px"),
        ("unregistered", "0 or 1", "cannot be registered, although nine in ten of the pair's frames can"),
        ("sequence_deviation_px", "px", "the deviation of all frames of the sequence together"),
        ("sequence_limit_px", "px", "limit of sequence_deviation_px"),
        ("swapped", "0 or 1", "matches the reference of another frame, not its own"),
    ),
    *_group(
        "rig",
        ("measurable", "0 or 1", "whether the pair can be registered over the whole batch"),
        ("precision_px", "px", "median deviation of a frame's shift from the others'"),
        ("rig_corner_px", "px", "displacement of the worst corner that all frames share"),
        ("rig_limit_px", "px", "limit of rig_corner_px: critical, and significant"),
        ("rig_warn_px", "px", "rig_corner_px from which there is a warning"),
        ("rig_scale_percent", "%", "scale that all frames share"),
        ("rig_rotation_deg", "deg", "rotation that all frames share"),
    ),
    *_group(
        "duplicate images",
        ("repeated", "sd", "largest change of another sensor since this identical image was recorded before"),
        ("all_repeated", "0 or 1", "whether all sensors repeat one earlier frame; in rows of the reference"),
    ),
    *_group(
        "time",
        ("time_offset_s", "s", "time of the sensor minus time of the reference"),
        ("time_tolerance_s", "s", "limit of time_offset_s"),
        ("time_step_s", "s", "time since the sensor's previous frame: 0 duplicate, below 0 out of order"),
        ("clock_offset_share", "tolerances", "median offset of the clock"),
        ("clock_drift_share", "tolerances", "offset that the clock gains over the longest sequence"),
        ("clock_jitter_share", "tolerances", "standard deviation of the offset without drift"),
        ("time_unit", "0 or 1", "whether the timestamps cannot be seconds"),
    ),
    *_group(
        "calibration",
        ("has_calibration", "0 or 1", "whether the sensor has a calibration"),
        ("intrinsics_fault", "0 or 1", "whether K is not a camera matrix with positive focal lengths"),
        ("principal_point_offset", "share", "distance of the principal point from the image's centre, by its side"),
        ("rotation_error", "", "largest deviation of the rotation from an orthonormal matrix with determinant 1"),
        ("loop_error", "", "largest deviation from the identity of the way to the reference and back"),
        ("view_error_px", "px", "distance of the view's corners by K from the reference's, in the reference's pixels"),
        ("calibration_age_days", "days", "first frame minus calibration; below 0 the calibration is newer"),
    ),
    *_group(
        "image quality",
        ("invalid_excess", "share", "invalid pixels above the sensor's median"),
        ("dead_excess", "share", "dead rows or columns above the sensor's median"),
        ("wrong_size", "0 or 1", "size differs from the sensor's other images, or from the reference for a label"),
        ("blank_excess", "share", "tiles that are blank in this frame but seldom in others"),
    ),
    *_group(
        "deviation",
        ("state", "text", "state of the pair in this frame: aligned, misaligned or unmeasurable"),
    ),
)
"""All columns, in the order of measures.csv."""
NAMES = tuple(measure.name for measure in MEASURES)


def column_names(group: Group) -> tuple[str, ...]:
    """Return the names of a group's measures, in the order of the table."""
    return tuple(measure.name for measure in MEASURES if measure.group == group)


def measures_table() -> str:
    """Return all measures as a Markdown table, group by group."""
    lines = ["| column | unit | meaning |", "|---|---|---|"]
    for group in get_args(Group):
        lines.append(f"| **{group}** | | |")
        lines += [f"| `{m.name}` | {m.unit} | {m.meaning} |" for m in MEASURES if m.group == group]
    return "\n".join(lines)
