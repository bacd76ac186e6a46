"""Stage search: choose settings on validation data, and write what every arm is trained with."""

from functools import partial

from sensorproof.artifacts import CHAMPION_START, PREPARED, SEARCH
from sensorproof.console import report_errors
from sensorproof.data.metadata import read_meta
from sensorproof.documents import ArmSettings, ChampionStart, RetrainingStart, SearchResult
from sensorproof.files import atomic_folder
from sensorproof.objectives.build import NO_REGULARIZATION, REGULARIZED
from sensorproof.searching.progress import describe_settings
from sensorproof.searching.space import given_settings, to_values
from sensorproof.settings import FineTuneSettings, Settings, load_settings
from sensorproof.settings.data import check_sensors


@report_errors
def main() -> None:
    """Write artifacts/search."""
    settings = load_settings()
    check_settings(settings)
    start = RetrainingStart.read(CHAMPION_START)
    if start.champion is not None and start.fine_tune is not None:
        fine_tune(start.champion, start.fine_tune, settings)
        return
    chosen = given_settings(settings)
    if not settings.search.enabled:
        write(SearchResult(trials=(), best=chosen.regularizer), chosen, settings)
        print("search: not enabled; regularizer and train are used as params.yaml has them")
        return
    search(settings, chosen)


def check_settings(settings: Settings) -> None:
    """Refuse settings that do not fit the data or the machine, before they stop a later stage after hours of training.

    Raises:
        SensorproofError: settings name sensors that the data lack, or a batch does not divide by the processes.
    """
    from sensorproof.training.processes import count_processes, share_out

    sensors = read_meta(PREPARED).sensors
    check_sensors("train.photometric", settings.train.photometric, sensors)
    settings.evaluate.probabilities(sensors)
    share_out(settings.train.batch_size, count_processes(settings.compute.processes), settings.train.accumulate)


def fine_tune(start: ChampionStart, tuning: FineTuneSettings, settings: Settings) -> None:
    """Keep the champion's settings for the candidate, and skip the search and the other arms."""
    chosen = ArmSettings(
        regularizer=start.regularizer,
        class_balance=start.class_balance,
        learning_rate=tuning.learning_rate,
        standardize=start.standardize,
    )
    candidate = settings.promotion.candidate
    with atomic_folder(SEARCH) as folder:
        SearchResult(trials=(), best=start.regularizer).write(folder / "trials.json")
        for arm in settings.train.arms:
            own = (
                {"fine_tuning_steps": tuning.steps} if arm == candidate else {"skipped": "retraining.mode is fine_tune"}
            )
            chosen.model_copy(update=own).write(folder / "arms" / f"{arm}.json")
    print(
        f"search: skipped, as retraining.mode is fine_tune; the settings are those of champion version {start.version}"
    )


def search(settings: Settings, given: ArmSettings) -> None:
    """Search, starting with the settings of params.yaml, and write what was chosen."""
    from sensorproof.adapters.mlflow_champion import champion_choice
    from sensorproof.adapters.optuna import Source, run_search

    source = Source.of_project(settings.search.storage)
    own = to_values(given, settings.search.space)
    first = [] if own is None else [(own, "params.yaml")]
    if own is None:
        print("search: search.space leaves out the settings of params.yaml, so they are not tried")
    if "champion" in settings.search.warm_start and (best := champion_choice()):
        first.append(best)
    result, close = run_search(source, settings, first, partial(print, flush=True))
    trial = result.chosen_trial
    assert trial is not None
    write(result, trial.settings, settings)
    close()
    kept = "" if trial.is_feasible else "; no trial keeps every limit of promotion, this one breaks them least"
    print(f"search: {len(result.trials)} trials, chosen {trial.number}: {describe_settings(trial)}{kept}")


def write(result: SearchResult, chosen: ArmSettings, settings: Settings) -> None:
    """Write the result, and a file for each arm: arms differ in the regulariser alone."""
    with atomic_folder(SEARCH) as folder:
        result.write(folder / "trials.json")
        for arm in settings.train.arms:
            regularizer = chosen.regularizer if arm in REGULARIZED else NO_REGULARIZATION
            chosen.model_copy(update={"regularizer": regularizer}).write(folder / "arms" / f"{arm}.json")


if __name__ == "__main__":
    main()
