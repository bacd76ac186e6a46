"""Rules on the table of measures, built from params.yaml. An adapter turns them into expectations."""

from dataclasses import asdict, dataclass
from typing import Literal

from sensorproof.alignment.measures.columns import NAMES
from sensorproof.data.frame_checks import OUT_OF_RANGE_SHARE
from sensorproof.hashing import hash_json
from sensorproof.settings import ValidationSettings

_SUITE_VERSION = 4
"""Increased when a rule is added or removed, or when its meaning changes."""
_OUTSIDE_IMAGE, _FAR_FROM_CENTRE = 0.5, 0.2
"""Offsets of a principal point from the image's centre, as shares of its side: the edge of the image, and more than
lenses have (a crop may have it)."""

_Severity = Literal["critical", "warning"]


@dataclass(frozen=True)
class Rule:
    """One rule on one measure. A row without a value (NaN) abstains.

    The tests are `at_most`: value <= limit; `below`: value < limit; `at_least`: value >= limit; `above`: value > limit;
    `within`: |value| <= the row's own value of the measure `other`; `unless_still`: value > limit, unless the measure
    `other` shows that nothing moved (<= other_limit).

    Raises:
        ValueError: the rule is on a measure that the registry does not have.
    """

    column: str
    """Name of the measure."""
    test: Literal["at_most", "below", "at_least", "above", "within", "unless_still"]
    limit: float
    severity: _Severity
    scope: Literal["frame", "batch"]
    reason: str
    """What it means that the rule is broken."""
    other: str = ""
    """Name of a second measure, for the tests `within` and `unless_still`."""
    other_limit: float = 0.0

    def __post_init__(self) -> None:
        unknown = [name for name in (self.column, self.other) if name and name not in NAMES]
        if unknown:
            raise ValueError(f"rule {self.reason!r} is on {unknown[0]!r}, which is not a measure")


def make_rules(settings: ValidationSettings) -> list[Rule]:
    """Return all rules, those on the batch first."""
    return [
        *_batch_rules(settings),
        *_time_rules(),
        *_content_rules(),
        *_quality_rules(settings),
        *_label_rules(settings),
    ]


def suite_name(settings: ValidationSettings) -> str:
    """Return the name of the suite of rules: its version and a hash of the rules that the settings give."""
    return f"alignment-v{_SUITE_VERSION}-{hash_json([asdict(r) for r in make_rules(settings)])[:8]}"


def _batch_rules(settings: ValidationSettings) -> list[Rule]:
    """Return rules on the rig and its clocks, which are the same in every frame: a critical one refuses the batch."""
    content, calibration, rigid = settings.content, settings.calibration, settings.calibration.rigid_error
    return [
        Rule("time_unit", "at_most", 0, "critical", "batch", "times are not in seconds"),
        Rule("clock_offset_share", "at_most", 1, "critical", "batch", "the clock is off by more than the tolerance"),
        Rule("clock_offset_share", "at_most", settings.time.warn, "warning", "batch", "the clock is off"),
        Rule("clock_drift_share", "at_most", settings.time.warn, "warning", "batch", "the clock drifts"),
        Rule("clock_jitter_share", "at_most", settings.time.warn, "warning", "batch", "the clock jitters"),
        Rule("has_calibration", "at_least", 1, "warning", "batch", "the sensor has no calibration"),
        Rule("intrinsics_fault", "at_most", 0, "critical", "batch", "K is not a camera matrix"),
        Rule("principal_point_offset", "at_most", _OUTSIDE_IMAGE, "critical", "batch",
             "the principal point is outside the image"),
        Rule("principal_point_offset", "at_most", _FAR_FROM_CENTRE, "warning", "batch",
             "the principal point is far from the centre: K belongs to a crop or to another image size"),
        Rule("rotation_error", "at_most", rigid, "critical", "batch", "the pose is not a rigid motion"),
        Rule("loop_error", "at_most", rigid, "critical", "batch", "the loop to the reference and back does not close"),
        Rule("view_error_px", "at_most", content.critical_px, "warning", "batch",
             "K gives another view than the reference's"),
        Rule("calibration_age_days", "at_least", -1, "critical", "batch", "the calibration is newer than the frames"),
        Rule("calibration_age_days", "at_most", calibration.max_age_days, "warning", "batch", "the calibration is old"),
        Rule("rig_corner_px", "within", 0, "critical", "batch",
             "the sensor is displaced in all frames alike: a fault of the rig", other="rig_limit_px"),
        Rule("rig_corner_px", "within", 0, "warning", "batch", "the sensor is slightly displaced in all frames alike",
             other="rig_warn_px"),
        Rule("measurable", "at_least", 1, "warning", "batch",
             "cannot be registered to the reference: only its times and calibration are checked"),
        Rule("precision_px", "at_most", (content.critical_px - content.margin_px) / 2, "warning", "batch",
             "frames scatter too much to judge single ones: a loose mount, or images with little in common"),
    ]  # fmt: skip


def _time_rules() -> list[Rule]:
    """Return rules on the timestamps of single frames."""
    return [
        Rule("time_offset_s", "within", 0, "critical", "frame", "was recorded too long before or after the reference",
             other="time_tolerance_s"),
        Rule("time_step_s", "above", 0, "critical", "frame", "has a timestamp that repeats or goes backwards"),
    ]  # fmt: skip


def _content_rules() -> list[Rule]:
    """Return rules on the displacement between the images of single frames."""
    return [
        Rule("deviation_px", "within", 0, "critical", "frame", "is displaced from the rig",
             other="deviation_limit_px"),
        Rule("corner_deviation_px", "within", 0, "critical", "frame", "is displaced from the rig at a corner",
             other="corner_limit_px"),
        Rule("sequence_deviation_px", "within", 0, "critical", "frame", "is displaced from the rig in this sequence",
             other="sequence_limit_px"),
        Rule("swapped", "at_most", 0, "critical", "frame", "matches another frame's reference, not its own"),
        Rule("unregistered", "at_most", 0, "warning", "frame",
             "cannot be registered, although nearly all other frames can: a sensor failure, another scene, or a large "
             "displacement"),
    ]  # fmt: skip


def _quality_rules(settings: ValidationSettings) -> list[Rule]:
    """Return rules on frames that show nothing of use."""
    health = settings.health
    return [
        Rule("sensors", "at_least", 1, "critical", "frame", "and all other sensors have no file"),
        Rule("unreadable", "at_most", 0, "critical", "frame", "cannot be read"),
        Rule("wrong_size", "at_most", 0, "critical", "frame",
             "has another size than the sensor's other frames or, for a label, than the reference"),
        Rule("invalid_share", "at_most", health.invalid, "critical", "frame", "has no valid pixels"),
        Rule("invalid_excess", "at_most", health.invalid_excess, "critical", "frame", "has unusually many holes"),
        Rule("contrast", "above", health.blank_contrast, "critical", "frame",
             "is blank, or `range` in batch.yaml is far wider than its values"),
        Rule("saturated_share", "at_most", health.saturated, "critical", "frame", "is saturated"),
        Rule("saturated_share", "at_most", health.saturated_warn, "warning", "frame", "is mostly saturated"),
        Rule("blank_excess", "below", health.blank_tiles, "critical", "frame",
             "is blank in many tiles, or `range` in batch.yaml is far wider than its values"),
        Rule("blank_excess", "below", health.blank_tiles / 2, "warning", "frame",
             "is blank in tiles that are seldom blank"),
        Rule("dead_excess", "at_most", health.dead_lines, "warning", "frame", "has dead rows or columns"),
        Rule("outside_share", "at_most", OUT_OF_RANGE_SHARE, "warning", "frame", "has values outside its range"),
        Rule("image_change", "unless_still", health.frozen_change, "critical", "frame", "is frozen",
             other="scene_change", other_limit=health.moved_change),
        Rule("repeated", "at_most", health.moved_change, "critical", "frame",
             "is identical to the image of another frame, although the other sensors have moved on"),
        Rule("all_repeated", "at_most", 0, "warning", "frame", "and all other sensors repeat an earlier frame"),
    ]  # fmt: skip


def _label_rules(settings: ValidationSettings) -> list[Rule]:
    """Return rules on labels."""
    return [
        Rule("label_unknown_share", "at_most", 0, "critical", "frame", "has ids that are not classes"),
        Rule("label_coverage", "at_least", settings.labels.min_coverage, "warning", "frame", "is mostly ignored"),
    ]
