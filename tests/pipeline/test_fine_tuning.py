"""A candidate that is fine-tuned from the champion: what it starts from, how it is judged, and what is said of it."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from mlflow import MlflowClient

from helpers.evaluations import make_silent
from helpers.mlflow_registry import BAD, BEST, GOOD, aliases, flip_a_byte, load_stage, promotion, run_stage, stored
from helpers.project_artifacts import make_meta, write_prepared, write_results
from sensorproof.artifacts import CHAMPION, CHAMPION_START, EVALUATION, PREPARED, QUARANTINED, SEARCH, SUMMARY
from sensorproof.data.batch import Class
from sensorproof.data.dataset import PreparedDataset
from sensorproof.data.holdout import hash_holdout
from sensorproof.documents import (
    ArmSettings,
    ChampionStart,
    Evaluation,
    FineTuning,
    HoldoutRecord,
    RetrainingStart,
    Summary,
)
from sensorproof.errors import SensorproofError
from sensorproof.experiment import RunSpec, fit
from sensorproof.files import read_json, write_json
from sensorproof.models import load_model
from sensorproof.promotion import PromotionDecision
from sensorproof.promotion.fine_tuning import fetch_champion
from sensorproof.serving.package import hash_model
from sensorproof.settings import Settings, load_settings

CANDIDATE = "regularized_dropout"
SEEN = ["x/train-0"]
"""The training sequences of `write_prepared`."""


def configure(**sections: dict[str, Any]) -> None:
    """Change params.yaml: fine-tuning of the small models that `write_results` writes."""
    params = yaml.safe_load(Path("params.yaml").read_text())
    changes = {"model": {"decoder_channels": 16}, "retraining": {"mode": "fine_tune"}, "data": {"size": [32, 40]}}
    for section, values in {**changes, **sections}.items():
        params[section] |= values
    Path("params.yaml").write_text(yaml.safe_dump(params))


@pytest.fixture
def champion(home: Path, client: MlflowClient) -> Path:
    """A registry with a champion, version 1; the folder that holds its model."""
    write_results(home, GOOD)
    evaluation = read_json(EVALUATION)
    evaluation["data"]["trained_on"] = SEEN
    write_json(EVALUATION, evaluation)
    run_stage()
    assert aliases(client) == {"champion": 1}
    configure()
    return stored(client, client.get_model_version("sensorproof", "1"))


def fetch(settings: Settings | None = None) -> ChampionStart:
    shutil.rmtree("fetched", ignore_errors=True)
    return fetch_champion(Path("fetched"), PreparedDataset(PREPARED, QUARANTINED), settings or load_settings())


def test_the_champion_comes_in_with_its_settings_and_its_hash(champion: Path) -> None:
    load_stage("champion").main()
    start = RetrainingStart.read(CHAMPION_START)
    assert start.champion is not None
    assert (start.champion.version, start.champion.arm) == (1, CANDIDATE)
    assert start.champion.model_sha256 == hash_model(champion) == hash_model(CHAMPION / "model")
    assert start.champion.trained_on == tuple(SEEN)
    assert start.champion.regularizer == load_settings().regularizer
    load_stage("search").main()
    own = ArmSettings.read(SEARCH / f"arms/{CANDIDATE}.json")
    tuning = load_settings().retraining.fine_tune
    assert (own.fine_tuning_steps, own.learning_rate, own.skipped) == (tuning.steps, tuning.learning_rate, None)
    assert ArmSettings.read(SEARCH / "arms/baseline.json").skipped == "retraining.mode is fine_tune"


def test_a_candidate_is_standardised_as_the_champion_whatever_the_settings_say(champion: Path) -> None:
    meta = make_meta()
    depth = meta.sensors["depth"].model_copy(update={"standardize": "frame"})
    write_prepared(PREPARED, meta.model_copy(update={"sensors": {**meta.sensors, "depth": depth}}))
    load_stage("champion").main()
    load_stage("search").main()
    own = ArmSettings.read(SEARCH / f"arms/{CANDIDATE}.json")
    assert own.standardize == {"camera": "dataset", "depth": "dataset"}


def test_anew_needs_no_registry_and_changes_no_file(home: Path) -> None:
    write_results(home, GOOD)
    load_stage("champion").main()
    assert read_json(CHAMPION_START) == {}
    assert [path.name for path in CHAMPION.iterdir()] == ["champion.json"]


def change_classes(_: Path) -> None:
    meta = make_meta()
    write_prepared(PREPARED, meta.model_copy(update={"classes": (*meta.classes, Class(id=99, name="tree"))}))


def change_sensors(_: Path) -> None:
    write_prepared(PREPARED, make_meta({"camera": 3, "lidar": 1}))


def change_size(_: Path) -> None:
    meta = make_meta()
    write_prepared(PREPARED, meta)
    write_json(PREPARED / "meta.json", meta.model_copy(update={"size": (64, 80)}).model_dump(mode="json"))


def change_holdout(_: Path) -> None:
    frames = (PREPARED / "frames.csv").read_text()
    (PREPARED / "frames.csv").write_text(frames.replace("test-2", "train-0"))


FAULTS = {
    "its classes are not those of the present data": change_classes,
    r"its sensors are \['camera', 'depth'\], those of the present data \['camera', 'lidar'\]": change_sensors,
    "its image size is 32 x 40 pixels, that of the present data 64 x 80": change_size,
    "was trained on sequences of the present hold-out: x/train-0": change_holdout,
    "its decoder_channels is 16, model.decoder_channels is 64": lambda _: configure(model={"decoder_channels": 64}),
    "its arm is regularized_dropout, the candidate's baseline": lambda _: configure(
        promotion={"candidate": "baseline"}
    ),
    "version 1: its files hash to": lambda folder: flip_a_byte(folder / "model.safetensors"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_does_not_fit_the_champion_is_one_line(fault: str, champion: Path) -> None:
    FAULTS[fault](champion)
    with pytest.raises(SensorproofError, match=fault) as caught:
        fetch()
    assert "\n" not in str(caught.value)


def test_without_a_champion_or_a_registry_the_fix_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_results(home, GOOD)
    configure()
    with pytest.raises(SensorproofError, match=r"there is no champion to fine-tune; set retraining\.mode: all"):
        fetch()
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    (home / "mlflow.db").unlink()
    with pytest.raises(SensorproofError, match=r"mlflow\.db: does not exist, so there is no champion to fine-tune"):
        fetch()


def test_a_champion_of_which_nothing_is_known_is_not_fine_tuned(home: Path, client: MlflowClient) -> None:
    write_results(home, GOOD)
    run_stage()
    configure()
    with pytest.raises(SensorproofError, match="what it was trained on is not recorded"):
        fetch()


def test_a_training_starts_from_the_weights_and_says_so_in_its_key(champion: Path) -> None:
    fetch()
    settings, data = load_settings(), PreparedDataset(PREPARED, QUARANTINED)
    train = settings.train.model_copy(update={"batch_size": 2, "learning_rate": 1e-30, "weight_decay": 0.0})
    spec = RunSpec(CANDIDATE, 0, 1, settings.model, train, settings.regularizer, Path("fetched"))
    assert spec.key(data) != RunSpec(CANDIDATE, 0, 1, settings.model, train, settings.regularizer).key(data)
    ours, theirs = fit(spec, data).model, load_model(Path("fetched"))[0]
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-20)  # but for the one step of size 1e-30


def fine_tuned(means: dict[str, list[float]], seed: int) -> None:
    """Write the results of a fine-tuned candidate, as stage evaluate does."""
    write_results(Path(), means, first_seed=seed, data_hash=f"{seed:032d}.dir")
    configure()
    evaluation, data = Evaluation.read(EVALUATION), PreparedDataset(PREPARED)
    holdout = HoldoutRecord(hash=hash_holdout(data), frames=len(data.rows("test")))
    tuning = FineTuning(champion=1, model_sha256="0" * 64, class_balance=0.5, skipped=("baseline",), holdout=holdout)
    arms = {CANDIDATE: evaluation.arms[CANDIDATE]}
    changes = {"arms": arms, "gain": None, "comparison": None, "fine_tuning": tuning}
    evaluation.model_copy(update=changes).write(EVALUATION)


def test_a_better_one_is_promoted_over_the_champion_and_what_was_skipped_is_said(
    champion: Path, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sensorproof.serving.rescore.recount_silent", lambda *_: make_silent())
    fine_tuned(BEST, 20)
    run_stage()
    decision = promotion()
    names = [gate.name for gate in decision.gates]
    assert "gain_baseline" not in names
    assert "gain_champion" in names
    assert (decision.decision, decision.version, aliases(client)["champion"]) == ("promoted", 2, 2)
    (skipped,) = decision.skipped
    assert "champion version 1" in skipped
    assert "search, baseline, comparison with the baseline" in skipped
    summary = Summary.read(SUMMARY)
    assert summary.gain is None
    assert "gain" not in read_json(SUMMARY)
    version = client.get_model_version("sensorproof", "2")
    assert skipped in version.description
    assert PromotionDecision.from_tags(2, version.tags).to_record() == decision


def test_a_champion_without_a_monitor_is_no_excuse(champion: Path) -> None:
    fine_tuned(BEST, 20)
    run_stage()
    assert promotion().decision == "refused"
    assert "silent_loss: not measured: candidate and champion were not both tried" in "; ".join(promotion().reasons)


def test_a_worse_one_is_refused(champion: Path, client: MlflowClient) -> None:
    fine_tuned(BAD, 20)
    run_stage()
    assert promotion().decision == "refused"
    assert any(reason.startswith("gain_champion: ") for reason in promotion().reasons)
    assert aliases(client)["champion"] == 1


def test_without_a_champion_it_never_passes(home: Path, client: MlflowClient) -> None:
    fine_tuned(BEST, 20)
    run_stage()
    decision = promotion()
    assert decision.decision == "refused"
    failed = {gate.name for gate in decision.gates if not gate.passed}
    assert {gate.name for gate in decision.gates} - failed == {"complete", "data"}
    assert "there is no champion to compare it with" in "; ".join(decision.reasons)


def test_other_frames_than_it_was_scored_on_are_a_fault(champion: Path) -> None:
    fine_tuned(BEST, 20)
    evaluation = read_json(EVALUATION)
    evaluation["fine_tuning"]["holdout"]["hash"] = "1" * 64
    write_json(EVALUATION, evaluation)
    run_stage()
    assert any("it was evaluated on a hold-out of" in reason for reason in promotion().reasons)
