"""Stage search: choose the regulariser on validation data and settle the settings of every arm."""

import shutil
from dataclasses import asdict
from statistics import fmean

from sensorproof.artifacts import CHECKPOINTS, PREPARED, QUARANTINED, SEARCH
from sensorproof.cli.errors import report_errors
from sensorproof.data.dataset import PreparedDataset
from sensorproof.experiment import RunSpec, fit
from sensorproof.files import atomic_folder, hash_json, write_json
from sensorproof.objectives.build import NO_REGULARIZATION, REGULARIZED
from sensorproof.settings import RegularizerSettings, Scales, Settings, load_settings, name_scales


@report_errors
def main() -> None:
    settings = load_settings()
    trials, best = run_search(settings) if settings.search.trials else ([], settings.regularizer)
    with atomic_folder(SEARCH) as folder:
        write_json(folder / "trials.json", {"trials": trials, "best": best.model_dump()})
        for arm in settings.train.arms:
            chosen = best if arm in REGULARIZED else NO_REGULARIZATION
            write_json(folder / "arms" / f"{arm}.json", chosen.model_dump())
    print(f"search: {len(trials)} trials, strength {best.strength:.3g} on {name_scales(best.scales)}")


def run_search(settings: Settings) -> tuple[list[dict[str, object]], RegularizerSettings]:
    """Train each trial for search.steps with every seed; its score is the mean balance on the validation split.

    Trials lie close together: of one seed each, chance would choose.
    """
    from sensorproof.adapters.optuna import search

    data = PreparedDataset(PREPARED, QUARANTINED)

    def objective(number: int, strength: float, scales: Scales) -> float:
        regularizer = settings.regularizer.model_copy(update={"strength": strength, "scales": scales})
        balances = []
        for seed in settings.search.seeds:
            scores = fit(trial_experiment(settings, regularizer, seed), data).validation
            where = f"strength {strength:.3g} on {name_scales(scales)}, seed {seed}"
            print(f"trial {number}: {where}: validation {scores}", flush=True)
            balances.append(scores.selection_score)
        return fmean(balances)

    space = settings.search.model_copy(update={"trials": 0}).model_dump()
    key = hash_json([trial_experiment(settings, settings.regularizer, 0).key(data), space])[:16]
    journals = CHECKPOINTS / f"search-{key}"
    trials = search(settings.search, objective, journals / "study.log")
    shutil.rmtree(journals)
    best = max(trials, key=lambda trial: (trial.score or 0.0, -trial.number))
    chosen = settings.regularizer.model_copy(update={"strength": best.strength, "scales": best.scales})
    return [asdict(trial) for trial in trials], chosen


def trial_experiment(settings: Settings, regularizer: RegularizerSettings, seed: int) -> RunSpec:
    search, candidate = settings.search, settings.promotion.candidate
    arm = candidate if candidate in REGULARIZED else "regularized"
    return RunSpec(arm, seed, search.steps, settings.model, settings.train, regularizer)


if __name__ == "__main__":
    main()
