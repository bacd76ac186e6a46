"""What the table must satisfy: rules made from params, as plain data. An adapter turns them into expectations."""

from dataclasses import asdict, dataclass
from typing import Literal

from sensorproof.data.frame_checks import OUT_OF_RANGE_SHARE
from sensorproof.files import hash_json
from sensorproof.settings import ValidationSettings

_SUITE_VERSION = 3
"""Rises when a rule is added, removed or means something else."""

OFF_IMAGE, OFF_CENTRE = 0.5, 0.2
"""Shares of the image's side from its middle: beyond its edge, and beyond what lenses have (a crop may)."""

_Severity = Literal["critical", "warning"]


@dataclass(frozen=True)
class Rule:
    """One rule on one column. A row without a value (NaN) abstains.

    test `at_most`: value <= limit; `below`: value < limit; `at_least`: value >= limit; `above`: value > limit;
    `within`: |value| <= the row's own value of column `other`;
    `unless_still`: value > limit, unless column `other` shows that nothing moved (<= other_limit).
    """

    column: str
    test: Literal["at_most", "below", "at_least", "above", "within", "unless_still"]
    limit: float
    severity: _Severity
    scope: Literal["frame", "batch"]
    reason: str
    """What it means when the rule is broken."""
    other: str = ""
    other_limit: float = 0.0

    @property
    def name(self) -> str:
        return f"{self.column} {self.severity}"


def make_rules(settings: ValidationSettings) -> list[Rule]:
    """All rules, those of the batch first."""
    return [
        *_batch_rules(settings),
        *_time_rules(),
        *_content_rules(),
        *_health_rules(settings),
        *_label_rules(settings),
    ]


def suite_name(settings: ValidationSettings) -> str:
    """The suite's name: its version, and a hash of the rules that params make."""
    return f"alignment-v{_SUITE_VERSION}-{hash_json([asdict(r) for r in make_rules(settings)])[:8]}"


def _batch_rules(settings: ValidationSettings) -> list[Rule]:
    """Faults of the rig and of its clocks, the same in every frame: the batch is refused."""
    content, calibration, rigid = settings.content, settings.calibration, settings.calibration.rigid_error
    return [
        Rule("time_unit", "at_most", 0, "critical", "batch", "times are not in seconds"),
        Rule("clock_offset_share", "at_most", 1, "critical", "batch", "the clock is off by more than the tolerance"),
        Rule("clock_offset_share", "at_most", settings.time.warn, "warning", "batch", "the clock is off"),
        Rule("clock_drift_share", "at_most", settings.time.warn, "warning", "batch", "the clock drifts"),
        Rule("clock_jitter_share", "at_most", settings.time.warn, "warning", "batch", "the clock jitters"),
        Rule("has_calibration", "at_least", 1, "warning", "batch", "the sensor has no calibration"),
        Rule("intrinsics_fault", "at_most", 0, "critical", "batch", "K is no camera matrix"),
        Rule("principal_point_offset", "at_most", OFF_IMAGE, "critical", "batch",
             "the principal point is off the image"),
        Rule("principal_point_offset", "at_most", OFF_CENTRE, "warning", "batch",
             "K is of a crop or of another image size: its principal point is far from the middle"),
        Rule("rotation_error", "at_most", rigid, "critical", "batch", "the pose is no rigid motion"),
        Rule("loop_error", "at_most", rigid, "critical", "batch", "the loop to the reference and back does not close"),
        Rule("view_error_px", "at_most", content.critical_px, "warning", "batch", "K claims another view"),
        Rule("calibration_age_days", "at_least", -1, "critical", "batch", "the calibration is newer than the frames"),
        Rule("calibration_age_days", "at_most", calibration.max_age_days, "warning", "batch", "the calibration is old"),
        Rule("rig_corner_px", "within", 0, "critical", "batch",
             "the sensor is off in all frames alike: a fault of the rig", other="rig_limit_px"),
        Rule("rig_corner_px", "within", 0, "warning", "batch", "slightly off in all frames alike", other="rig_warn_px"),
        Rule("measurable", "at_least", 1, "warning", "batch",
             "cannot be registered to the reference: only times and calibration speak for it"),
        Rule("precision_px", "at_most", (content.critical_px - content.margin_px) / 2, "warning", "batch",
             "frames scatter too much to judge single ones: a loose mount, or images with little in common"),
    ]  # fmt: skip


def _time_rules() -> list[Rule]:
    """Stamps of single frames."""
    return [
        Rule("time_offset_s", "within", 0, "critical", "frame", "taken too long before or after the reference",
             other="time_tolerance_s"),
        Rule("time_step_s", "above", 0, "critical", "frame", "time stands still or goes backwards"),
    ]  # fmt: skip


def _content_rules() -> list[Rule]:
    """Where the images of single frames lie on each other."""
    return [
        Rule("deviation_px", "within", 0, "critical", "frame", "is off against the rig", other="deviation_limit_px"),
        Rule("corner_deviation_px", "within", 0, "critical", "frame", "is off against the rig at a corner",
             other="corner_limit_px"),
        Rule("sequence_deviation_px", "within", 0, "critical", "frame", "is off against the rig in this sequence",
             other="sequence_limit_px"),
        Rule("swapped", "at_most", 0, "critical", "frame", "matches another frame's reference, not its own"),
        Rule("lost", "at_most", 0, "warning", "frame",
             "cannot be registered, though nearly all of its frames can: a failure, another scene, or far off"),
    ]  # fmt: skip


def _health_rules(settings: ValidationSettings) -> list[Rule]:
    """Frames that show nothing of use."""
    health = settings.health
    return [
        Rule("sensors", "at_least", 1, "critical", "frame", "no sensor has a file"),
        Rule("unreadable", "at_most", 0, "critical", "frame", "cannot be read"),
        Rule("wrong_size", "at_most", 0, "critical", "frame",
             "has another size than its other frames, or a label than the reference"),
        Rule("invalid_share", "at_most", health.invalid, "critical", "frame", "has no valid pixels"),
        Rule("invalid_excess", "at_most", health.invalid_excess, "critical", "frame", "has unusually many holes"),
        Rule("contrast", "above", health.blank_contrast, "critical", "frame", "is blank"),
        Rule("saturated_share", "at_most", health.saturated, "critical", "frame", "is saturated"),
        Rule("saturated_share", "at_most", health.saturated_warn, "warning", "frame", "is mostly saturated"),
        Rule("blank_excess", "below", health.blank_tiles, "critical", "frame", "is blank in many tiles"),
        Rule("blank_excess", "below", health.blank_tiles / 2, "warning", "frame", "is blank in tiles that seldom are"),
        Rule("dead_excess", "at_most", health.dead_lines, "warning", "frame", "has dead rows or columns"),
        Rule("outside_share", "at_most", OUT_OF_RANGE_SHARE, "warning", "frame", "has values outside of its range"),
        Rule("image_change", "unless_still", health.frozen_change, "critical", "frame", "is frozen",
             other="scene_change", other_limit=health.moved_change),
        Rule("repeated", "at_most", health.moved_change, "critical", "frame",
             "is the very image of another frame, while the other sensors have moved on"),
        Rule("all_repeated", "at_most", 0, "warning", "frame", "and all other sensors repeat an earlier frame"),
    ]  # fmt: skip


def _label_rules(settings: ValidationSettings) -> list[Rule]:
    """Labels."""
    return [
        Rule("label_unknown_share", "at_most", 0, "critical", "frame", "has ids that are no class"),
        Rule("label_coverage", "at_least", settings.labels.min_coverage, "warning", "frame", "is mostly ignored"),
    ]
