"""What is recorded of ingested batches: drift, the champion's answers, each batch once; and whether to retrain."""

import shutil
from pathlib import Path

import pytest
from mlflow import MlflowClient

from helpers.batches import edit_frames, edit_info, put
from helpers.mlflow_registry import GOOD, aliases, run_stage
from helpers.project_artifacts import command, write_raw, write_results
from sensorproof.artifacts import FIELD
from sensorproof.documents.field import FieldRecord
from sensorproof.field.decision import decide_retraining
from sensorproof.field.follow import follow_field
from sensorproof.field.history import read_history, unrecorded
from sensorproof.field.record import record_new
from sensorproof.ingestion.ledger import LedgerEntry, record
from sensorproof.settings import Settings, load_settings

SPLITS = ("train", "train", "train", "val", "val", "test", "test", "test")


def ingest(name: str, content: str = "c") -> Path:
    """Put a batch where an ingestion leaves it, and enter it into the ledger."""
    folder = Path("data/raw") / name
    write_raw(folder, SPLITS)
    edit_frames(folder, lambda rows: [row.update(frame_id=f"{name}-{k}") for k, row in enumerate(rows)])
    values = {"time": "2026-03-01T00:00:00+00:00", "action": "ingested", "batch": name, "content": content + name}
    record(Path("data/ingested.jsonl"), LedgerEntry.model_validate(values))
    return folder


@pytest.fixture
def settings(home: Path) -> Settings:
    """A project with the raw batch `b`, and results that are not registered yet."""
    write_results(home, GOOD)
    write_raw(Path("data/raw/b"), SPLITS)
    return load_settings()


@pytest.fixture
def champion(settings: Settings, client: MlflowClient) -> None:
    """Version 1, which was trained on `b`."""
    run_stage()
    assert aliases(client)["champion"] == 1


def by_batch(records: list[FieldRecord]) -> dict[str, FieldRecord]:
    return {each.batch: each for each in records}


def test_without_a_champion_that_is_recorded_and_a_retraining_is_due(settings: Settings) -> None:
    ingest("first")
    ingest("second")
    result = follow_field(settings)
    assert [each.batch for each in result.new] == ["first", "second"]
    assert {each.no_champion for each in result.new} == {"there is no champion yet"}
    assert all(each.champion is None and each.sites["x"].confidence is None for each in result.new)
    first, second = result.new
    assert first.drift is not None
    assert second.drift is not None
    assert second.drift.training_frames > first.drift.training_frames  # `first` was there before it
    assert (result.decision.retrain, result.decision.reasons) == (True, ("there is no champion yet",))
    assert sorted(path.name for path in FIELD.iterdir()) == ["history.png", "index.html"]


def test_each_batch_is_recorded_once(settings: Settings) -> None:
    ingest("first")
    assert len(record_new(settings)) == 1
    assert record_new(settings) == []
    assert [each.batch for each in read_history(settings)] == ["first"]
    ingest("second")
    shutil.rmtree("data/raw/second")  # removed since
    assert unrecorded(settings) == []


@pytest.mark.usefixtures("champion")
def test_the_champion_answers_with_confidence_and_alarms_by_batch_and_site(settings: Settings) -> None:
    ingest("new")
    (new,) = record_new(settings)
    assert new.no_champion == ""
    assert new.champion is not None
    assert (new.champion.version, new.champion.frames) == (1, len(SPLITS))
    assert 0 < new.champion.confidence <= 1
    assert (new.champion.alarms, new.champion.alarms_by_sensor) == (0, {})  # a model without a monitor
    assert new.sites["x"].confidence == new.champion.confidence
    assert new.sites["x"].alarms == new.champion.alarms
    assert (new.frames, new.labelled, new.quarantined) == (8, 8, 0)


@pytest.mark.usefixtures("champion")
def test_a_batch_of_other_classes_is_recorded_as_one_that_the_champion_cannot_read(settings: Settings) -> None:
    edit_info(ingest("other"), put("classes", 0, "name", value="sea"))
    (other,) = record_new(settings)
    assert (other.champion, other.no_champion) == (None, "classes differ from the model's")
    assert decide_retraining(settings).notes == ("other: no answers of the champion (classes differ from the model's)",)


@pytest.mark.usefixtures("champion")
def test_new_labelled_frames_are_those_that_the_champion_did_not_see(settings: Settings) -> None:
    assert decide_retraining(settings).new_frames == 0
    ingest("new")
    decision = decide_retraining(settings)
    assert decision.new_frames == len(SPLITS)
    assert decision.reasons == ("8 labelled frames are new since champion version 1 (limit 0)",)
    rules = settings.schedule.retrain_when.model_copy(update={"new_frames": 9})
    schedule = settings.schedule.model_copy(update={"retrain_when": rules})
    assert not decide_retraining(settings.model_copy(update={"schedule": schedule})).retrain


@pytest.mark.usefixtures("champion")
def test_the_command_makes_up_for_what_is_missing_and_shows_everything(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    ingest("new")
    assert command("drift") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert " new: " in lines[0]
    assert "; champion version 1: confidence " in lines[0]
    assert lines[1] == "retrain: 8 labelled frames are new since champion version 1 (limit 0)"
    assert lines[2] == f"history: {FIELD}/index.html"
    assert unrecorded(settings) == []
