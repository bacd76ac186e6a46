"""Search with Optuna: a study in a journal file, trials proposed by TPE, each returned as plain data."""

from collections.abc import Callable
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from sensorproof.documents.runs import Trial
from sensorproof.settings import Scales, SearchSettings, name_scales

_STARTUP_FRACTION = 0.5
"""Fraction of the trials drawn at random before TPE (Bergstra et al., NeurIPS 2011) proposes them."""


def search(settings: SearchSettings, objective: Callable[[int, float, Scales], float], journal: Path) -> list[Trial]:
    """Maximise `objective(trial number, strength, scales)`; an interrupted study resumes from its journal.

    Args:
        settings: the number of trials, and the space.
        objective: trains and returns a score in points.
        journal: the study's file. It is kept, so that finished trials are not repeated.

    Returns:
        The finished trials, in order.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    journal.parent.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        study_name="regularizer",
        storage=JournalStorage(JournalFileBackend(str(journal))),
        direction="maximize",
        load_if_exists=True,
        sampler=optuna.samplers.TPESampler(
            seed=settings.seeds[0], n_startup_trials=max(1, round(settings.trials * _STARTUP_FRACTION))
        ),
    )
    choices = {name_scales(scales): scales for scales in settings.scales}

    def run(trial: optuna.Trial) -> float:
        strength = trial.suggest_float("strength", *settings.strength, log=True)
        scales = trial.suggest_categorical("scales", sorted(choices))
        return objective(trial.number, strength, choices[scales])

    finished = study.get_trials(states=(TrialState.COMPLETE,))
    study.optimize(run, n_trials=max(0, settings.trials - len(finished)))
    return [
        Trial(number=t.number, strength=t.params["strength"], scales=choices[t.params["scales"]], score=t.values[0])
        for t in study.get_trials(states=(TrialState.COMPLETE,))
    ]
