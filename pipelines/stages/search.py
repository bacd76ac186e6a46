"""Stage search: choose the regulariser on validation data, and write the settings of every arm."""

import shutil
from statistics import fmean

from sensorproof.artifacts import CHECKPOINTS, PREPARED, QUARANTINED, SEARCH
from sensorproof.console import report_errors
from sensorproof.data.dataset import PreparedDataset
from sensorproof.documents import SearchResult
from sensorproof.experiment import RunSpec, fit
from sensorproof.files import atomic_folder, write_json
from sensorproof.hashing import hash_json
from sensorproof.objectives.build import NO_REGULARIZATION, REGULARIZED
from sensorproof.settings import RegularizerSettings, Scales, Settings, load_settings, name_scales
from sensorproof.training.loop import choose_device


@report_errors
def main() -> None:
    """Write artifacts/search."""
    settings = load_settings()
    result = run_search(settings) if settings.search.trials else SearchResult(trials=(), best=settings.regularizer)
    best = result.best
    with atomic_folder(SEARCH) as folder:
        result.write(folder / "trials.json")
        for arm in settings.train.arms:
            chosen = best if arm in REGULARIZED else NO_REGULARIZATION
            write_json(folder / "arms" / f"{arm}.json", chosen.model_dump())
    print(f"search: {len(result.trials)} trials, strength {best.strength:.3g} on {name_scales(best.scales)}")


def run_search(settings: Settings) -> SearchResult:
    """Train each trial with every seed; its score is the mean selection score on the validation split.

    Several seeds, because trials score nearly the same: with one seed, chance would choose.
    """
    from sensorproof.adapters.optuna import search

    data = PreparedDataset(PREPARED, QUARANTINED)
    choose_device(settings.train.device)  # before the first trial: Optuna would log its error with a traceback

    def objective(number: int, strength: float, scales: Scales) -> float:
        regularizer = settings.regularizer.model_copy(update={"strength": strength, "scales": scales})
        selection_scores = []
        for seed in settings.search.seeds:
            scores = fit(trial_spec(settings, regularizer, seed), data).validation
            where = f"strength {strength:.3g} on {name_scales(scales)}, seed {seed}"
            print(f"trial {number}: {where}: validation {scores}", flush=True)
            selection_scores.append(scores.selection_score)
        return fmean(selection_scores)

    space = settings.search.model_copy(update={"trials": 0}).model_dump()
    key = hash_json([trial_spec(settings, settings.regularizer, 0).key(data), space])[:16]
    journals = CHECKPOINTS / f"search-{key}"
    trials = search(settings.search, objective, journals / "study.log")
    shutil.rmtree(journals)
    best = max(trials, key=lambda trial: (trial.score, -trial.number))
    chosen = settings.regularizer.model_copy(update={"strength": best.strength, "scales": best.scales})
    return SearchResult(trials=tuple(trials), best=chosen)


def trial_spec(settings: Settings, regularizer: RegularizerSettings, seed: int) -> RunSpec:
    """Specify a training of the candidate arm for search.steps steps."""
    candidate = settings.promotion.candidate
    arm = candidate if candidate in REGULARIZED else "regularized"
    return RunSpec(arm, seed, settings.search.steps, settings.model, settings.train, regularizer)


if __name__ == "__main__":
    main()
