"""What stage evaluate measures besides the subsets, made up: silent failures, calibration, contributions, protocols."""

from sensorproof.documents import ArmSummary, Estimate, Evaluation, Statistic
from sensorproof.documents.calibration import CalibrationBin, CalibrationSummary
from sensorproof.documents.contributions import Contributions, SensorContribution
from sensorproof.documents.evaluation import SpecialistReference
from sensorproof.documents.groups import GroupScores, GroupTables
from sensorproof.documents.protocols import NoiseTable, ProtocolScores, SubsetTable
from sensorproof.documents.silent import FailureScores, FalseAlarms, SensorFailures, SilentScores


def statistic(mean: float) -> Statistic:
    return Statistic(mean=mean, std=0.5)


def with_measures(evaluation: Evaluation) -> Evaluation:
    """Add all that can be measured to every arm; those of a later arm are higher."""
    arms = {name: _measure(arm, float(shift)) for shift, (name, arm) in enumerate(evaluation.arms.items())}
    share = Estimate(value=0.6, interval=(0.4, 0.9))
    specialists = SpecialistReference(
        mean=statistic(60.0),
        worst=statistic(30.0),
        subsets={name: statistic(60.0) for name in next(iter(arms.values())).subsets},
        shares=dict.fromkeys(list(arms)[1:], share),
        parameters=999999,
        train_seconds=70.0,
    )
    return evaluation.model_copy(update={"arms": arms, "specialists": specialists})


def _measure(arm: ArmSummary, shift: float) -> ArmSummary:
    sensors = sorted({name for subset in arm.subsets for name in subset.split("+")})
    bins = (CalibrationBin(share=1.0, confidence=0.8, accuracy=0.7 + shift / 100),)
    calibration = {
        subset: CalibrationSummary(
            ece=statistic(0.1 - shift / 100), confidence=statistic(0.8), accuracy=statistic(0.7), bins=bins
        )
        for subset in arm.subsets
    }
    contributions = Contributions(
        empty=5.0,
        sensors={
            name: SensorContribution(
                shapley=Estimate(value=10.0 * place - 2 + shift, interval=(0.0, 20.0)),
                change=Estimate(value=shift, interval=(shift - 1, shift + 1)) if shift else None,
                information=statistic(1.0 + place),
                relevance=statistic(0.3),
            )
            for place, name in enumerate(sensors)
        },
    )
    table = SubsetTable(
        mean=statistic(40 + shift),
        worst=statistic(10 + shift),
        expected={"0.1": statistic(48 + shift), "params": statistic(47 + shift)},
        subsets={name: statistic(40 + shift) for name in arm.subsets},
    )
    noise = NoiseTable(all=statistic(30 + shift), sensors={name: statistic(35 + shift) for name in sensors})
    curve = {str(severity): statistic(50 - 8 * severity + shift) for severity in (1, 3, 5)}
    protocols = ProtocolScores(
        failure_probability=dict.fromkeys(sensors, 0.1),
        expected=table.expected,
        emm=table,
        rmm={"0.25": table, "0.75": table},
        nm={"low": noise, "high": noise},
        degradations={name: {"fog": curve, "frozen": curve, "new_one": curve} for name in sensors},
        seed=0,
    )
    group = GroupScores(frames=6, pixels=100, small=False, mean=statistic(40 + shift), full=statistic(50 + shift))
    small = GroupScores(frames=2, pixels=9, small=True, mean=None, full=None)
    failures = {
        "black": FailureScores(kept=40.0 + shift, monitored=50.0 + shift, noticed=1.0),
        "half_lost": FailureScores(kept=45.0 + shift, monitored=48.5 + shift, noticed=0.5),
    }
    return arm.model_copy(
        update={
            "calibration": calibration,
            "contributions": contributions,
            "protocols": protocols,
            "groups": GroupTables(classes={}, sites={"site-1": group}, conditions={"(none)": group, "霧": small}),
            "silent": SilentScores(
                full=55.0,
                monitored=54.9,
                conditions={"(none)": FalseAlarms(alarms=1, images=100), "霧": FalseAlarms(alarms=0, images=2)},
                sensors={name: SensorFailures(absent=50.0 + shift, failures=failures) for name in sensors},
            ),
        }
    )
