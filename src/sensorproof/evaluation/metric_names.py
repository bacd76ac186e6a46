"""The names of metrics in MLflow."""

from sensorproof.documents.history import INFORMATION, STEP

VALIDATION_MEAN = "validation/miou/mean"
"""Mean over the subsets on the validation split."""
_SEPARATOR = "."
"""Joins sensors in the name of a metric, where MLflow allows no `+`; names of sensors have no dot."""


def miou(figure: str) -> str:
    """Name a figure on the test split.

    Examples:
        >>> miou("worst")
        'miou/worst'
    """
    return f"miou/{figure}"


def validation_miou(figure: str) -> str:
    """Name a figure on the validation split.

    Examples:
        >>> validation_miou("mean") == VALIDATION_MEAN
        True
    """
    return f"validation/miou/{figure}"


def subset_miou(subset: str) -> str:
    """Name the score of one subset of the sensors on the test split.

    Examples:
        >>> subset_miou("camera+depth")
        'miou/subset/camera.depth'
    """
    return f"miou/subset/{subset.replace('+', _SEPARATOR)}"


def gain(figure: str, end: str = "") -> str:
    """Name the gain in a figure, or an end (`low`, `high`) of its interval.

    Examples:
        >>> gain("mean"), gain("mean", "low")
        ('gain/mean', 'gain/mean/low')
    """
    return f"gain/{figure}/{end}" if end else f"gain/{figure}"


def history(column: str) -> str:
    """Name the metric of a column of history.csv; a loss goes under `train/`.

    Examples:
        >>> history("cross_entropy"), history("information/prediction/camera")
        ('train/cross_entropy', 'information/prediction/camera')
    """
    return column if column == STEP or column.startswith(INFORMATION) else f"train/{column}"
