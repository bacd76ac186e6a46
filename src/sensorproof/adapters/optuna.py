"""Optuna owns the search: a study in a journal file, trials proposed by TPE, each reported as plain data."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from sensorproof.settings import Scales, SearchSettings, name_scales

_STARTUP_SHARE = 0.5
"""Share of the trials drawn at random before TPE takes over."""


@dataclass(frozen=True)
class Trial:
    """One setting of the regulariser and its score in points; None where the training failed."""

    number: int
    strength: float
    scales: Scales
    score: float | None


def search(settings: SearchSettings, objective: Callable[[int, float, Scales], float], journal: Path) -> list[Trial]:
    """Maximise `objective(trial number, strength, scales)`; a study cut short goes on from its journal.

    Args:
        settings: how many trials, and the space.
        objective: trains and returns a score in points.
        journal: the study's file. It is kept, so that finished trials are not run again.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    journal.parent.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        study_name="regularizer",
        storage=JournalStorage(JournalFileBackend(str(journal))),
        direction="maximize",
        load_if_exists=True,
        sampler=optuna.samplers.TPESampler(
            seed=settings.seeds[0], n_startup_trials=max(1, round(settings.trials * _STARTUP_SHARE))
        ),
    )
    choices = {name_scales(scales): scales for scales in settings.scales}

    def run(trial: optuna.Trial) -> float:
        strength = trial.suggest_float("strength", *settings.strength, log=True)
        scales = trial.suggest_categorical("scales", sorted(choices))
        return objective(trial.number, strength, choices[scales])

    done = [t for t in study.trials if t.state == optuna.trial.TrialState.COMPLETE]
    study.optimize(run, n_trials=max(0, settings.trials - len(done)))
    return [
        Trial(t.number, t.params["strength"], choices[t.params["scales"]], t.value)
        for t in study.trials
        if t.state == optuna.trial.TrialState.COMPLETE
    ]
