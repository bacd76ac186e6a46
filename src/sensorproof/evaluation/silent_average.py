"""Silent failures of one arm over its seeds."""

from collections.abc import Sequence
from statistics import fmean

from sensorproof.documents.silent import FailureScores, FalseAlarms, SensorFailures, SilentScores


def average_silent(runs: Sequence[SilentScores | None]) -> SilentScores | None:
    """Average the scores of models that were tried with the same failures, and add up their alarms.

    Returns:
        None where a model was not tried.
    """
    known = [run for run in runs if run is not None]
    if not known or len(known) < len(runs):
        return None
    first = known[0]
    return SilentScores(
        full=fmean(run.full for run in known),
        monitored=fmean(run.monitored for run in known),
        conditions={
            name: FalseAlarms(
                alarms=sum(run.conditions[name].alarms for run in known),
                images=sum(run.conditions[name].images for run in known),
            )
            for name in first.conditions
        },
        sensors={name: _average_sensor([run.sensors[name] for run in known]) for name in first.sensors},
    )


def _average_sensor(runs: Sequence[SensorFailures]) -> SensorFailures:
    failures = {
        kind: FailureScores(
            kept=fmean(run.failures[kind].kept for run in runs),
            monitored=fmean(run.failures[kind].monitored for run in runs),
            noticed=fmean(run.failures[kind].noticed for run in runs),
        )
        for kind in runs[0].failures
    }
    return SensorFailures(absent=fmean(run.absent for run in runs), failures=failures)
