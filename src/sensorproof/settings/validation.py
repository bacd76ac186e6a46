"""The section `validation`: when sensors count as aligned and frames as fault-free."""

from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeFloat, PositiveFloat, model_validator

from sensorproof.settings.strict_model import Fraction, StrictModel


class PairTime(StrictModel):
    """The time tolerance of one sensor against the reference: given directly, or by the motion that it allows."""

    tolerance_s: PositiveFloat | None = None
    tolerated_px: PositiveFloat | None = None
    """Accepted image motion between the two exposures; with range_m and speed_m_s it gives the tolerance."""
    range_m: PositiveFloat | None = None
    speed_m_s: PositiveFloat | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        physical = (self.tolerated_px, self.range_m, self.speed_m_s)
        if (self.tolerance_s is None) == (None in physical):
            raise ValueError("give either tolerance_s, or all of tolerated_px, range_m and speed_m_s")
        return self


class TimeChecks(StrictModel):
    """When the frames of a pair count as recorded at the same time."""

    pairs: dict[str, PairTime]
    """{sensor: its tolerance}; for other sensors the batch's own max_time_offset_s holds."""
    warn: Annotated[float, Field(gt=0, le=1)]
    """Share of the tolerance above which a clock's offset, drift or jitter is a warning."""


class CalibrationChecks(StrictModel):
    """When a calibration is usable."""

    max_age_days: PositiveFloat
    rigid_error: PositiveFloat
    """Largest entry by which R^T R and the loop to the reference and back may differ from the identity."""


class ContentChecks(StrictModel):
    """How a sensor's image is registered to the reference's; see docs/explanation/alignment.md."""

    grid: Annotated[int, Field(ge=3, le=4)]
    """Tiles per side of the image; at most 4, since the blank ones are kept as bits of a 32-bit number."""
    tile: Annotated[int, Field(ge=32, le=1024)]
    """Largest side of a tile in pixels."""
    reliability: Annotated[float, Field(gt=0, lt=100)]
    """Reliability, 0 to 100, below which a tile, a frame or a pair is unmeasurable."""
    min_coverage: Fraction
    """Share of reliable tiles from which the rig is fitted by an affine map."""
    warn_px: PositiveFloat
    """Displacement of a corner, in pixels of the reference, from which there is a warning."""
    critical_px: PositiveFloat
    """Displacement of a corner, in pixels of the reference, that must be found."""
    margin_px: NonNegativeFloat
    """Error of the measurement. It is subtracted from critical_px, so that a fault of exactly that size is found."""

    @model_validator(mode="after")
    def _is_ordered(self) -> Self:
        if not self.warn_px <= self.critical_px - self.margin_px:
            raise ValueError("warn_px must not exceed critical_px - margin_px")
        return self


class HealthChecks(StrictModel):
    """When an image shows nothing of use. Shares are of its pixels."""

    blank_contrast: Fraction
    """Highest minus lowest value, as a share of the sensor's range, up to which an image or tile is blank."""
    blank_tiles: Fraction
    """Share of tiles that are blank in this frame but seldom in others, from which the frame is quarantined."""
    saturated_warn: Fraction
    """Share of saturated pixels above which there is a warning."""
    saturated: Fraction
    """Share of saturated pixels above which the frame is quarantined."""
    invalid: Fraction
    """Share of invalid pixels above which the frame is quarantined."""
    invalid_excess: Fraction
    """The same above the sensor's own median."""
    dead_lines: Fraction
    """Share of rows or columns with a single value, less the sensor's own median, above which there is a warning."""
    frozen_change: NonNegativeFloat
    """Mean change since the previous frame, in standard deviations of the image, up to which the image is frozen."""
    moved_change: PositiveFloat
    """Change of another sensor above which the scene has moved."""


class LabelChecks(StrictModel):
    """When a label is usable."""

    min_coverage: Fraction
    """Share of pixels that are not ignored, below which there is a warning."""


class DriftChecks(StrictModel):
    """When a new batch differs from the training data."""

    auc: Annotated[float, Field(gt=0.5, le=1)]
    """Area under the curve of the classifier two-sample test from which the batch has drifted."""
    severity: Literal["warning", "critical"]
    """Whether drift is a warning or refuses the batch."""
    max_frames: Annotated[int, Field(ge=10)]
    """Largest number of frames of each side to compare."""


class ValidationSettings(StrictModel):
    """Which frames and batches may be used for training."""

    time: TimeChecks
    calibration: CalibrationChecks
    content: ContentChecks
    health: HealthChecks
    labels: LabelChecks
    drift: DriftChecks
    max_quarantined: Fraction
    """Share of faulty frames above which the whole batch is refused."""
    contact_sheet_frames: Annotated[int, Field(ge=0, le=100)]
    """Frames per sensor on the contact sheet, the worst first."""
