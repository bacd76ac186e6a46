"""Evaluations made by hand: a baseline, a candidate, and the gain that the test names."""

from sensorproof.documents import (
    ArmSummary,
    Comparison,
    DataSummary,
    Estimate,
    Evaluation,
    FrameCounts,
    Gain,
    Gains,
    GateRecord,
    GroupGains,
    HoldoutRecord,
    PromotionRecord,
    SearchSummary,
    Statistic,
    Summary,
)
from sensorproof.documents.silent import FailureScores, FalseAlarms, SensorFailures, SilentScores
from sensorproof.settings import PromotionSettings

PROMOTION = PromotionSettings(
    candidate="regularized",
    mode="auto",
    notify=None,
    resamples=200,
    min_gain_baseline=0.0,
    min_gain_champion=0.0,
    max_loss_full=1.0,
    min_worst=10.0,
    max_loss_class=5.0,
    max_loss_site=5.0,
    max_loss_condition=5.0,
    max_loss_silent=1.0,
    max_false_alarms=0.01,
    min_group_frames=2,
    max_time_ratio=1.1,
)
SUBSETS = ("camera", "depth", "camera+depth")


def make_silent(shift: float = 0.0, alarms: int = 0) -> SilentScores:
    """Silent failures of two sensors, all higher by `shift`; 100 images of sound sensors."""
    sensors = {
        name: SensorFailures(
            absent=50.0 + shift,
            failures={
                "black": FailureScores(kept=40.0 + shift, monitored=50.0 + shift, noticed=1.0),
                "shifted": FailureScores(kept=45.0 + shift, monitored=48.5 + shift, noticed=0.5),
            },
        )
        for name in ("camera", "depth")
    }
    conditions = {"day": FalseAlarms(alarms=alarms, images=60), "night": FalseAlarms(alarms=0, images=40)}
    return SilentScores(full=55.0 + shift, monitored=54.9 + shift, conditions=conditions, sensors=sensors)


def make_arm(shift: float, seeds: int = 3) -> ArmSummary:
    """Scores that are all higher by `shift`, and a spread that is lower; 0 makes the baseline."""
    subsets = {name: Statistic(mean=40.0 + 10 * k + shift, std=1.0) for k, name in enumerate(SUBSETS)}
    return ArmSummary(
        seeds=tuple(range(seeds)),
        full=subsets["camera+depth"],
        mean=Statistic(mean=50.0 + shift, std=1.0),
        worst=subsets["camera"],
        spread=Statistic(mean=8.0 - shift, std=1.0),
        subsets=subsets,
        per_class={name: {"road": 50.0 + shift, "ghost": None} for name in SUBSETS},
        support={"road": 1000, "ghost": 0},
        parameters=348967,
        train_seconds=48.0 if shift == 0 else 77.0,
        silent=make_silent(shift),
    )


def same_gains(gain: Gain) -> Gains:
    """The same gain in every figure."""
    return Gains(full=gain, mean=gain, worst=gain)


def evaluation_of_gain(
    mean: float, low: float | None, high: float | None, full: float = 0.5, seeds: int = 3
) -> Evaluation:
    """Build an evaluation of `baseline` and `regularized`.

    Args:
        mean: gain in the mean, and in the worst subset.
        low: lower end of its interval; None for one seed.
        high: upper end.
        full: gain with all sensors; its interval is 1 to each side.
        seeds: of each arm.
    """
    ends = (None, None) if low is None else (full - 1, full + 1)
    gains = same_gains(Gain(value=mean, ci95=(low, high)))
    comparison = make_comparison(mean, None if seeds == 1 else 1.0, full).model_copy(
        update={"mean": Estimate(value=mean, interval=(low, high))}
    )
    return Evaluation(
        data=DataSummary(batches=("b",), hash="0.dir", frames=FrameCounts(train=2, val=2, test=6, quarantined=0)),
        params_hash="0",
        git_commit=None,
        arms={"baseline": make_arm(0, seeds), "regularized": make_arm(mean, seeds)},
        gain=gains.model_copy(update={"full": Gain(value=full, ci95=ends)}),
        search=SearchSummary(trials=0, best={}),
        comparison=comparison,
    )


def summary_of_gain(
    mean: float,
    low: float | None,
    high: float | None,
    full: float = 0.5,
    seeds: int = 3,
    gates: tuple[GateRecord, ...] = (),
) -> Summary:
    """The same evaluation with its decision: promoted unless one of the gates failed."""
    failed = tuple(gate.name for gate in gates if not gate.passed)
    promotion = PromotionRecord(
        decision="refused" if failed else "promoted", model="sensorproof", version=1, gates=gates, reasons=failed
    )
    return Summary.combine(evaluation_of_gain(mean, low, high, full, seeds), promotion)


def estimate(value: float, half: float | None = 1.0) -> Estimate:
    """A figure with an interval of `half` to each side, or none."""
    return Estimate(value=value, interval=(None, None) if half is None else (value - half, value + half))


def make_comparison(
    mean: float = 3.0, half: float | None = 1.0, full: float = 0.5, worst: float = 40.0, group: float = 1.0
) -> Comparison:
    """A comparison of 6 frames: the gains in mean and full, the score of the worst subset, and the gain of one group.

    The other class, site and condition have a gain of 2; a small one has none.
    """
    groups = {
        kind: GroupGains(gains={f"{kind} 1": estimate(2.0), f"{kind} 2": estimate(group)}, small=(f"rare {kind}",))
        for kind in ("class", "site", "condition")
    }
    return Comparison(
        holdout=HoldoutRecord(hash="ab" * 32, frames=6),
        units="frames",
        drawn=6,
        mean=estimate(mean, half),
        full=estimate(full, half),
        worst=estimate(worst, half),
        classes=groups["class"],
        sites=groups["site"],
        conditions=groups["condition"],
    )
