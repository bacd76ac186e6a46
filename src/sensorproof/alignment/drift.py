"""Does a new batch look like the training data? Statistics of every sensor, and a classifier two-sample test.

A classifier that can tell frames of one from frames of the other, in sequences it has not seen, has found a
difference (Lopez-Paz and Oquab 2017). Whole groups are held out: neighbouring frames are alike, and single frames
would be told apart by the place they show. Few places lie apart by chance: groups are also dealt out at random.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sensorproof.alignment.measures.image_statistics import FEATURES
from sensorproof.settings import DriftChecks

_FOLDS = 5
_STRONGEST = 5
"""Differences that are named."""
_SHUFFLES = 39
"""Times that groups are dealt out at random, to see how far apart they lie by chance."""
_LIKELY = 0.05
"""Chance from which a difference is none."""


@dataclass(frozen=True)
class _Difference:
    """One statistic of one sensor. `effect` is Cohen's d: batch less training, in pooled standard deviations."""

    sensor: str
    statistic: str
    effect: float


@dataclass(frozen=True)
class Drift:
    """How far a batch lies from the training data."""

    auc: float | None
    """Area under the classifier's curve on held-out groups: 0.5 no difference, 1 all told apart; None unmeasurable."""
    effect: float | None
    """The same as Cohen's d of two normal distributions with that area: 0.2 small, 0.5 medium, 0.8 large."""
    drifted: bool
    reason: str
    frames: int
    training_frames: int
    strongest: tuple[_Difference, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"strongest": [asdict(d) for d in self.strongest]}


def compare(batch: pd.DataFrame, training: pd.DataFrame, settings: DriftChecks) -> Drift:
    """Compare image statistics (alignment.statistics, with the columns site and sequence) of a batch with training.

    At most settings.max_frames frames of each are taken, evenly spread.
    """
    one, other = wide(batch, settings.max_frames), wide(training, settings.max_frames)
    strongest = differences(one, other)
    groups = _grouping(one, other)
    if not strongest:
        return Drift(None, None, False, "has no sensor in common with the training data", len(one), len(other), ())
    if groups is None:
        reason = "needs two sequences, or sites, in the batch and in the training data"
        return Drift(None, None, False, reason, len(one), len(other), strongest)
    samples = Samples.of(one, other, groups)
    auc = samples.auc(samples.new)
    effect = effect_of(auc)
    chance = samples.chance(auc) if auc >= settings.auc else 1.0
    drifted = auc >= settings.auc and chance <= _LIKELY
    says = "looks different from the training data" if drifted else "looks like the training data"
    if auc >= settings.auc and not drifted:
        says = "may look different from the training data, but so few places do by chance"
    named = ", ".join(f"{d.sensor} {d.statistic} {d.effect:+.1f} sd" for d in strongest[:3])
    reason = f"{says} (AUC {auc:.2f}, d {effect:.1f}{'; ' + named if drifted else ''})"
    return Drift(round(auc, 4), round(effect, 3), drifted, reason, len(one), len(other), strongest)


def wide(statistics: pd.DataFrame, most: int) -> pd.DataFrame:
    """A row per frame, indexed by site and sequence, a column per sensor and statistic."""
    table = statistics.pivot_table(
        index=["site", "sequence", "frame_id"], columns="sensor", values=list(FEATURES), dropna=False, observed=True
    )
    table = table.dropna(how="all")
    kept = np.unique(np.linspace(0, len(table) - 1, min(most, len(table))).round().astype(int))
    return table.iloc[kept]


def differences(one: pd.DataFrame, other: pd.DataFrame) -> tuple[_Difference, ...]:
    """The statistics that differ most, by Cohen's d."""
    found = []
    for column in one.columns.intersection(other.columns):
        statistic, sensor = column[0], column[1]
        a, b = one[column].dropna(), other[column].dropna()
        if min(len(a), len(b)) < 2:
            continue
        spread = float(np.sqrt((a.var() + b.var()) / 2))
        if spread > 1e-9:
            found.append(_Difference(str(sensor), str(statistic), round(float(a.mean() - b.mean()) / spread, 3)))
    return tuple(sorted(found, key=lambda d: (-abs(d.effect), d.sensor, d.statistic))[:_STRONGEST])


def _grouping(one: pd.DataFrame, other: pd.DataFrame) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Numbers of the groups to hold out: sites where both have two, else sequences, else None."""
    for level in ("site", "sequence"):
        names = [table.index.get_level_values(level) for table in (one, other)]
        if level == "sequence":
            names = [t.index.get_level_values("site") + "/" + n for t, n in zip((one, other), names, strict=True)]
        if all(n.nunique() >= 2 for n in names):
            number = pd.factorize(np.concatenate(names))[0]
            return number[: len(one)], number[len(one) :]
    return None


@dataclass(frozen=True)
class Samples:
    """Frames of both sides: values (n, c), the number of each one's group, and whether each group is new."""

    values: NDArray[np.float64]
    group: NDArray[np.int64]
    new: NDArray[np.bool_]

    @classmethod
    def of(
        cls, one: pd.DataFrame, other: pd.DataFrame, groups: tuple[NDArray[np.int64], NDArray[np.int64]]
    ) -> "Samples":
        columns = one.columns.intersection(other.columns)
        both = pd.concat([one[columns], other[columns]])
        values = both.fillna(both.median()).dropna(axis=1).to_numpy(float)
        # A place in both is a group of its own on either side.
        side = np.repeat([0, 1], [len(one), len(other)])
        pairs, group = np.unique(np.stack([side, np.concatenate(groups)]), axis=1, return_inverse=True)
        return cls(values, group.ravel(), pairs[0] == 0)

    def auc(self, new: NDArray[np.bool_]) -> float:
        """Area under the curve of a regularised logistic regression on held-out groups, if these groups were new."""
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
        """How likely an area as large is when groups are dealt out at random; stops once it is clearly likely."""
        rng = np.random.default_rng(0)
        reached = 0
        for done in range(1, _SHUFFLES + 1):
            reached += self.auc(rng.permutation(self.new)) >= auc
            if reached + 1 > _LIKELY * (_SHUFFLES + 1):
                return (reached + 1) / (done + 1)
        return (reached + 1) / (_SHUFFLES + 1)


def effect_of(auc: float) -> float:
    """Cohen's d of two normal distributions of equal spread that a threshold tells apart with this area."""
    from scipy.stats import norm

    return float(np.sqrt(2) * norm.ppf(np.clip(auc, 1e-6, 1 - 1e-6)))
