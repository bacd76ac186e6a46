"""Expected calibration error (Guo et al., ICML 2017, arXiv 1706.04599): is a model as often right as it is confident?

The confidence of a pixel is the largest softmax probability. Pixels are sorted into 15 bins of equal width by it, as in
the paper. Only sums are kept, so that memory does not grow with the data.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from sensorproof.documents.calibration import Calibration, CalibrationBin, CalibrationSummary
from sensorproof.errors import SensorproofError
from sensorproof.evaluation.statistics import summarize

BINS = 15
_STRIDE = 4
"""Every fourth pixel of every fourth row: logits come from a map of a quarter of the size, so that neighbours differ
little, and all pixels would take as long as the decoder itself."""
_PIXELS, _CONFIDENCE, _RIGHT = range(3)


class CalibrationCounts:
    """Sums over the pixels of each subset and bin, added up batch by batch.

    Args:
        subsets: names.
    """

    def __init__(self, subsets: Iterable[str]) -> None:
        self.sums = {name: torch.zeros(BINS, 3, dtype=torch.float64) for name in subsets}

    def add(self, subset: str, logits: Tensor, target: Tensor, scorable: Tensor, ignore_index: int) -> None:
        """Count a batch.

        Args:
            subset: its name.
            logits: (B, K, H, W).
            target: (B, H, W), values 0 … K-1 or ignore_index.
            scorable: (B,) bool, which frames count.
            ignore_index: marks pixels that do not count.
        """
        sparse = (..., slice(None, None, _STRIDE), slice(None, None, _STRIDE))
        logits, target = logits[sparse].float(), target[sparse]
        top, label = logits.max(1)
        confidence = (top - logits.logsumexp(1)).exp()
        counted = ((target != ignore_index) & scorable[:, None, None]).flatten()
        sure, right = confidence.flatten().double(), (label == target).flatten()
        places = (sure * BINS).long().clamp(0, BINS - 1)
        parts = (counted.double(), torch.where(counted, sure, 0.0), (counted & right).double())
        sums = torch.stack([torch.bincount(places, weights, minlength=BINS) for weights in parts], dim=1)
        self.sums[subset] += sums.cpu()

    def results(self) -> dict[str, Calibration]:
        """Return the calibration of each subset that has a pixel.

        Raises:
            SensorproofError: the model's logits are NaN or infinite.
        """
        if wrong := [name for name, sums in self.sums.items() if not torch.isfinite(sums).all()]:
            fault = f"the model answers NaN or infinity with {wrong[0]}"
            raise SensorproofError("evaluation", fault, "lower train.learning_rate and train it again")
        return {name: _to_calibration(sums) for name, sums in self.sums.items() if sums[:, _PIXELS].any()}


def _to_calibration(sums: Tensor) -> Calibration:
    pixels = sums[:, _PIXELS]
    total = float(pixels.sum())
    error = (sums[:, _RIGHT] - sums[:, _CONFIDENCE]).abs().sum()
    return Calibration(
        ece=float(error) / total,
        confidence=float(sums[:, _CONFIDENCE].sum()) / total,
        accuracy=float(sums[:, _RIGHT].sum()) / total,
        bins=tuple(
            CalibrationBin(
                share=number / total,
                confidence=sure / number if number else None,
                accuracy=right / number if number else None,
            )
            for number, sure, right in sums.tolist()
        ),
    )


def average_calibration(
    runs: Sequence[dict[str, Calibration] | None],
) -> dict[str, CalibrationSummary] | None:
    """Summarise the calibration of one arm over its seeds, all scored on the same pixels.

    Returns:
        {subset: summary}; None where a run has none.
    """
    known = [run for run in runs if run is not None]
    if not known or len(known) < len(runs):
        return None
    return {
        name: CalibrationSummary(
            **{
                part: summarize([getattr(run[name], part) for run in known])
                for part in ("ece", "confidence", "accuracy")
            },
            bins=tuple(_pool(bins) for bins in zip(*(run[name].bins for run in known), strict=True)),
        )
        for name in known[0]
    }


def _pool(bins: Sequence[CalibrationBin]) -> CalibrationBin:
    """Pool the pixels that the runs have in one bin."""
    shares = np.array([each.share for each in bins])
    total = float(shares.sum())

    def pooled(values: Sequence[float | None]) -> float | None:
        return float(sum(s * (v or 0.0) for s, v in zip(shares, values, strict=True))) / total if total else None

    confidence, accuracy = pooled([b.confidence for b in bins]), pooled([b.accuracy for b in bins])
    return CalibrationBin(share=total / len(bins), confidence=confidence, accuracy=accuracy)
