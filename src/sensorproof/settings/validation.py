"""The section `validation`: when sensors count as aligned and frames as sound."""

from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeFloat, PositiveFloat, model_validator

from sensorproof.settings.strict_model import Fraction, StrictModel


class PairTime(StrictModel):
    """The time tolerance of one sensor against the reference: given outright, or from the motion it allows."""

    tolerance_s: PositiveFloat | None = None
    tolerated_px: PositiveFloat | None = None
    """Image motion accepted between the two exposures; with range_m and speed_m_s it gives the tolerance."""
    range_m: PositiveFloat | None = None
    speed_m_s: PositiveFloat | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        physical = (self.tolerated_px, self.range_m, self.speed_m_s)
        if (self.tolerance_s is None) == (None in physical):
            raise ValueError("give either tolerance_s, or all of tolerated_px, range_m and speed_m_s")
        return self


class TimeChecks(StrictModel):
    """When the frames of a pair count as taken at the same time."""

    pairs: dict[str, PairTime]
    """By sensor; a sensor that is not named keeps the batch's own max_time_offset_s."""
    warn: Annotated[float, Field(gt=0, le=1)]
    """Share of the tolerance from which a clock's offset, drift or jitter is worth a warning."""


class CalibrationChecks(StrictModel):
    """What makes a calibration usable."""

    max_age_days: PositiveFloat
    rigid_error: PositiveFloat
    """Largest entry by which R^T R, T_ab T_ba or a loop may differ from the identity."""


class ContentChecks(StrictModel):
    """Registration of a sensor's image to the reference's; see docs/alignment.md."""

    grid: Annotated[int, Field(ge=3, le=9)]
    tile: Annotated[int, Field(ge=32, le=1024)]
    """Largest side of a tile in pixels."""
    reliability: Annotated[float, Field(gt=0, lt=100)]
    """Below this a tile, a frame or a pair is unmeasurable."""
    min_coverage: Fraction
    """Share of reliable tiles from which the rig is fitted by a full affine map."""
    warn_px: PositiveFloat
    critical_px: PositiveFloat
    """Corner residual in pixels of the label."""
    margin_px: NonNegativeFloat
    """The measure's own error, taken off critical_px so that a fault of just that size is found."""

    @model_validator(mode="after")
    def ordered(self) -> Self:
        if not self.warn_px <= self.critical_px - self.margin_px:
            raise ValueError("warn_px must not exceed critical_px - margin_px")
        return self


class HealthChecks(StrictModel):
    """When a frame shows nothing of use. Shares are of the frame's pixels."""

    blank_contrast: Fraction
    """Highest less lowest value, as a share of the sensor's range, up to which a frame or tile is blank."""
    blank_tiles: Fraction
    """Share of tiles, blank in this frame and seldom in others, from which the frame is quarantined."""
    saturated_warn: Fraction
    saturated: Fraction
    invalid: Fraction
    invalid_excess: Fraction
    """Invalid share above the sensor's own median."""
    dead_lines: Fraction
    """Share of rows or columns that are stuck at one value, above the sensor's own median."""
    frozen_change: NonNegativeFloat
    """Mean change from the frame before, in standard deviations of the image, up to which it is the same."""
    moved_change: PositiveFloat
    """Change of another sensor from which the scene has moved."""


class LabelChecks(StrictModel):
    """What a label must have."""

    min_coverage: Fraction
    """Share of pixels that are not ignored, below which a label is worth a warning."""


class DriftChecks(StrictModel):
    """When a new batch differs from the training data."""

    auc: Annotated[float, Field(gt=0.5, le=1)]
    """Area under the curve of the classifier two-sample test, from which the batch has drifted."""
    severity: Literal["warning", "critical"]
    max_frames: Annotated[int, Field(ge=10)]


class ValidationSettings(StrictModel):
    """Which frames may be trained on, and which batches."""

    time: TimeChecks
    calibration: CalibrationChecks
    content: ContentChecks
    health: HealthChecks
    labels: LabelChecks
    drift: DriftChecks
    max_quarantined: Fraction
    """Share of quarantined frames above which the whole batch is refused."""
    contact_sheet_frames: Annotated[int, Field(ge=0, le=100)]
    """Frames a sensor drawn on the contact sheet, the worst first."""
