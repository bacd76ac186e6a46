"""Drift: whether a new batch looks like the training data, by a classifier two-sample test.

If a classifier can tell frames of one from frames of the other in sequences that it was not trained on, the two differ
(Lopez-Paz and Oquab 2017). Whole groups are held out, because neighbouring frames are alike: single frames would be
told apart by the place that they show. A few places differ by chance, so the test is repeated with groups that are
assigned at random.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sensorproof.alignment.measures.image_statistics import STATISTICS
from sensorproof.alignment.sampling import evenly_spaced
from sensorproof.documents.validation import DifferenceRecord, DriftRecord
from sensorproof.settings import DriftChecks

_FOLDS = 5
_STRONGEST = 5
"""Differences that are reported."""
_SHUFFLES = 39
"""Random assignments of groups, with which the chance level is measured."""
_CHANCE = 0.05
"""Above this chance a difference is not significant."""


def measure_drift(batch: pd.DataFrame, training: pd.DataFrame, settings: DriftChecks) -> DriftRecord:
    """Compare the image statistics of a batch with those of the training data.

    Args:
        batch: a row per frame and sensor, see `image_statistics`.
        training: the same of training frames.
        settings: the limit of the area under the curve, and the number of frames to compare, evenly spread.
    """
    new, old = wide_table(batch, settings.max_frames), wide_table(training, settings.max_frames)
    strongest = _differences(new, old)
    groups = _grouping(new, old)

    def record(
        reason: str, auc: float | None = None, effect: float | None = None, drifted: bool = False
    ) -> DriftRecord:
        return DriftRecord(
            auc=auc,
            effect=effect,
            drifted=drifted,
            reason=reason,
            frames=len(new),
            training_frames=len(old),
            strongest=strongest,
        )

    if not strongest:
        return record("has no sensor in common with the training data")
    if groups is None:
        return record("needs two sequences, or sites, in the batch and in the training data")
    samples = _Samples.of(new, old, groups)
    auc = samples.auc(samples.new)
    effect = cohens_d(auc)
    chance = samples.chance(auc) if auc >= settings.auc else 1.0
    drifted = auc >= settings.auc and chance <= _CHANCE
    finding = "looks different from the training data" if drifted else "looks like the training data"
    if auc >= settings.auc and not drifted:
        finding = "may look different from the training data, but so few places differ by chance"
    named = ", ".join(f"{d.sensor} {d.statistic} {d.effect:+.1f} sd" for d in strongest[:3])
    reason = f"{finding} (AUC {auc:.2f}, d {effect:.1f}{'; ' + named if drifted else ''})"
    return record(reason, round(auc, 4), round(effect, 3), drifted)


def wide_table(statistics: pd.DataFrame, most: int) -> pd.DataFrame:
    """Return a row per frame, indexed by site and sequence, and a column per statistic and sensor.

    Args:
        statistics: a row per frame and sensor, see `image_statistics`.
        most: largest number of frames, evenly spread.
    """
    table = statistics.pivot_table(
        index=["site", "sequence", "frame_id"], columns="sensor", values=list(STATISTICS), dropna=False, observed=True
    )
    table = table.dropna(how="all")
    return table.iloc[evenly_spaced(len(table), most)]


def _differences(new: pd.DataFrame, old: pd.DataFrame) -> tuple[DifferenceRecord, ...]:
    """Return the statistics that differ most, by Cohen's d."""
    differences = []
    for column in new.columns.intersection(old.columns):
        statistic, sensor = column[0], column[1]
        a, b = new[column].dropna(), old[column].dropna()
        if min(len(a), len(b)) < 2:
            continue
        pooled = float(np.sqrt((a.var() + b.var()) / 2))
        if pooled > 1e-9:
            effect = round(float(a.mean() - b.mean()) / pooled, 3)
            differences.append(DifferenceRecord(sensor=str(sensor), statistic=str(statistic), effect=effect))
    return tuple(sorted(differences, key=lambda d: (-abs(d.effect), d.sensor, d.statistic))[:_STRONGEST])


def _grouping(new: pd.DataFrame, old: pd.DataFrame) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Return the number of each frame's group: its site if both sides have two, else its sequence, else None."""
    for level in ("site", "sequence"):
        names = [table.index.get_level_values(level) for table in (new, old)]
        if level == "sequence":
            names = [t.index.get_level_values("site") + "/" + n for t, n in zip((new, old), names, strict=True)]
        if all(n.nunique() >= 2 for n in names):
            number = pd.factorize(np.concatenate(names))[0]
            return number[: len(new)], number[len(new) :]
    return None


@dataclass(frozen=True)
class _Samples:
    """Frames of both sides: values (n, c), the number (n,) of each one's group, and whether each group is new (g,)."""

    values: NDArray[np.float64]
    group: NDArray[np.int64]
    new: NDArray[np.bool_]

    @classmethod
    def of(
        cls, new: pd.DataFrame, old: pd.DataFrame, groups: tuple[NDArray[np.int64], NDArray[np.int64]]
    ) -> "_Samples":
        """Join both sides; missing values become the median over both."""
        columns = new.columns.intersection(old.columns)
        both = pd.concat([new[columns], old[columns]])
        values = both.fillna(both.median()).dropna(axis=1).to_numpy(float)
        # A place that is in both is a group of its own on either side.
        side = np.repeat([0, 1], [len(new), len(old)])
        pairs, group = np.unique(np.stack([side, np.concatenate(groups)]), axis=1, return_inverse=True)
        return cls(values, group.ravel(), pairs[0] == 0)

    def auc(self, new: NDArray[np.bool_]) -> float:
        """Return the area under the curve of a logistic regression on held-out groups.

        Args:
            new: (g,) which groups to regard as new.
        """
        from sklearn.linear_model import LogisticRegression
        from sklearn.metrics import roc_auc_score
        from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        target = new[self.group].astype(int)
        folds = min(_FOLDS, int(new.sum()), int((~new).sum()))
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, class_weight="balanced", max_iter=1000))
        split = StratifiedGroupKFold(folds, shuffle=True, random_state=0)
        score = cross_val_predict(model, self.values, target, groups=self.group, cv=split, method="decision_function")
        return float(roc_auc_score(target, score))

    def chance(self, auc: float) -> float:
        """Return how often groups that are assigned at random reach an area; stops once it is not significant."""
        rng = np.random.default_rng(0)
        reached = 0
        for done in range(1, _SHUFFLES + 1):
            reached += self.auc(rng.permutation(self.new)) >= auc
            if reached + 1 > _CHANCE * (_SHUFFLES + 1):
                return (reached + 1) / (done + 1)
        return (reached + 1) / (_SHUFFLES + 1)


def cohens_d(auc: float) -> float:
    """Return Cohen's d of two normal distributions of equal variance that a threshold separates with this area."""
    from scipy.stats import norm

    return float(np.sqrt(2) * norm.ppf(np.clip(auc, 1e-6, 1 - 1e-6)))
