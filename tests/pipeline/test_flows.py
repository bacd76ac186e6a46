"""The flows, on a pipeline of three small stages and Prefect's own test server."""

import logging
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from prefect import State, flow
from prefect.testing.utilities import prefect_test_harness

from helpers.paths import ROOT
from helpers.search import search_settings, write_frames
from sensorproof.adapters import dvc
from sensorproof.adapters.optuna import Source, run_search
from sensorproof.artifacts import PREPARED, QUARANTINED
from sensorproof.data.simulator import SimulationConfig, simulate_batch
from sensorproof.errors import SensorproofError, UsageError
from sensorproof.field.history import read_history
from sensorproof.files import dump_yaml
from sensorproof.hashing import hash_json
from sensorproof.ingestion import transaction
from sensorproof.ingestion.file_manifest import hash_files
from sensorproof.ingestion.ledger import read_entries
from sensorproof.locks import locked
from sensorproof.settings import load_settings

PIPELINE = """\
stages:
  prepare:
    cmd: ls ${data.raw} > names.txt && cat names.txt
    deps:
      - ${data.raw}
    outs:
      - names.txt
  train:
    matrix:
      seed: [0, 1]
    cmd: cat names.txt > model-${item.seed}.txt
    deps:
      - names.txt
    outs:
      - model-${item.seed}.txt
"""
REFUSING = """\
stages:
  validate:
    cmd: "echo 'error: data/raw/b: 9 of 10 frames are out of step; mend the clock'; exit 4"
"""


@pytest.fixture(scope="module")
def flows() -> Iterator[tuple[ModuleType, ModuleType]]:
    """The modules retraining and field_data, with a server to talk to."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "pipelines/flows")
        import field_data
        import retraining

        with prefect_test_harness(server_startup_timeout=120):
            yield retraining, field_data
    for name in ("retraining", "field_data", "frames"):
        del sys.modules[name]


@pytest.fixture(scope="module")
def retraining(flows: tuple[ModuleType, ModuleType]) -> ModuleType:
    return flows[0]


@pytest.fixture(scope="module")
def field_data(flows: tuple[ModuleType, ModuleType]) -> ModuleType:
    return flows[1]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project, as the working folder."""
    (tmp_path / ".dvc").mkdir()
    for name in ("params.yaml", ".dvcignore", ".dvc/config"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "dvc.yaml").write_text(PIPELINE)
    for folder in ("raw/old", "inbox", "quarantine"):
        (tmp_path / "data" / folder).mkdir(parents=True)
    (tmp_path / "data/raw/old/notes.txt").write_text("old")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / ".dvc/site"))
    return tmp_path


def test_every_stage_runs_once_and_the_next_run_says_that_there_is_nothing_to_do(
    here: Path, retraining: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "prefect"):
        state = retraining.retraining(return_state=True)
    assert state.is_completed()
    assert state.message.endswith(": prepare, train@0, train@1 ran")
    results = state.result()
    assert list(results) == ["prepare", "train@0", "train@1"]
    assert results["train@0"]["outputs"]["model-0.txt"] == dvc.locked_outputs("train@0")["model-0.txt"]
    assert "old" in [record.message for record in caplog.records]
    state = retraining.retraining(return_state=True)
    assert state.is_completed()
    assert state.name == "Unchanged"
    assert state.message == f"nothing to do: {retraining.key()} have been trained on"
    assert str(retraining.key()).startswith(f"data {dvc.locked_hash('prepare', 'data/raw'):.8}, params ")


def test_a_refused_batch_fails_the_run_with_its_reason_and_is_not_tried_again(
    here: Path, retraining: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("dvc.yaml").write_text(REFUSING)
    state = retraining.retraining(return_state=True)
    assert state.is_failed()
    assert state.name == "Refused"
    assert state.message.startswith("stage validate: data/raw/b: 9 of 10 frames are out of step; mend the clock; ")
    assert "\n" not in state.message
    capsys.readouterr()
    with pytest.raises(SystemExit) as caught:
        retraining.report(state)
    assert caught.value.code == 4
    assert capsys.readouterr().err == f"error: {state.message}\n"


@pytest.mark.parametrize(("fault", "tries"), [(dvc.StageKilledError, 2), (SensorproofError, 1)])
def test_only_a_stage_that_was_killed_is_tried_again(
    fault: type[SensorproofError], tries: int, here: Path, retraining: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def reproduce(stage: str, **options: object) -> bool:
        tried.append(stage)
        if len(tried) < 2:
            raise fault("stage last", "was ended by signal 9", "run it again")
        return True

    @flow
    def once() -> State[Any]:
        return retraining.reproduce("last", return_state=True)

    monkeypatch.setattr(retraining.reproduce, "retry_delay_seconds", [0])
    monkeypatch.setattr(dvc, "reproduce", reproduce)
    state = once(return_state=True)
    assert len(tried) == tries
    assert state.is_completed() == (fault is dvc.StageKilledError)


def test_only_one_retraining_runs_at_a_time(here: Path, retraining: ModuleType) -> None:
    with locked(retraining.LOCK):
        state = retraining.retraining(return_state=True)
    assert state.name == "Skipped"
    assert "retraining: is under way already (process " in state.message
    assert not Path("names.txt").exists()


def test_params_at_fault_are_one_line(here: Path, retraining: ModuleType) -> None:
    with Path("params.yaml").open("a") as file:
        file.write("surplus: 1\n")
    Path("dvc.yaml").write_text("stages: {}\n")
    state = retraining.retraining(return_state=True)
    assert state.is_failed()
    assert "surplus: unknown key" in state.message


def test_batches_come_in_and_are_trained_on(here: Path, field_data: ModuleType) -> None:
    for name, offset in (("good", 0), ("broken", 9)):
        simulate_batch(Path("data/inbox", name), SimulationConfig(name, (48, 60), 3, 1, 3, 5, offset, 0.0))
    Path("data/inbox/broken/frames.csv").unlink()
    Path("data/inbox/loose.txt").touch()
    shutil.rmtree("data/raw/old")
    Path("dvc.yaml").write_text(PIPELINE.partition("  train:")[0])
    listing = hash_files(Path("data/inbox/good"))
    state = field_data.field_data(quiet_period_s=0, return_state=True)
    assert state.name == "Refused"
    assert "data/inbox/broken/frames.csv: is missing" in state.message
    assert "good ingested (9 frames, 0 quarantined)" in state.message
    assert ": prepare ran" in state.message
    assert hash_files(Path("data/raw/good")) == listing
    assert Path("names.txt").read_text() == "good\ngood.dvc\n"
    (entry,) = [e for e in read_entries(Path("data/ingested.jsonl")) if e.action == "ingested"]
    assert (entry.batch, entry.frames, entry.content) == ("good", 9, hash_json(listing))
    assert sorted(path.name for path in Path("data/inbox").iterdir()) == ["broken", "broken.refused.yaml", "loose.txt"]
    assert "retrain: there is no champion yet" in state.message
    (recorded,) = read_history(load_settings())
    assert (recorded.batch, recorded.frames, recorded.no_champion) == ("good", 9, "there is no champion yet")
    assert Path("artifacts/field/index.html").exists()
    state = field_data.field_data(quiet_period_s=0, return_state=True)
    assert state.is_completed()
    assert state.result() == {"ingested": [], "decision": None}
    assert state.message == "broken refused before; loose.txt is neither a folder nor an archive"


def test_the_result_has_the_decision_and_its_reasons(here: Path, field_data: ModuleType) -> None:
    simulate_batch(Path("data/inbox/good"), SimulationConfig("good", (48, 60), 3, 1, 3, 5, 0, 0.0))
    state = field_data.field_data(quiet_period_s=0, retrain=False, return_state=True)
    result = state.result()
    assert result["ingested"] == ["good"]
    assert result["decision"] == {
        "retrain": True,
        "reasons": ["there is no champion yet"],
        "champion": None,
        "new_frames": None,
        "notes": [],
    }
    assert not Path("dvc.lock").exists()


def test_the_nightly_run_says_why_it_runs(here: Path, retraining: ModuleType) -> None:
    state = retraining.retraining(when_due=True, return_state=True)
    assert state.message.endswith(": prepare, train@0, train@1 ran; retrain: there is no champion yet")
    assert list(state.result()) == ["prepare", "train@0", "train@1"]


def test_a_batch_that_another_run_ingests_is_left_to_it(here: Path, field_data: ModuleType) -> None:
    batch = Path("data/inbox/good")
    simulate_batch(batch, SimulationConfig("good", (48, 60), 3, 1, 3, 5, 0, 0.0))
    with locked(transaction._claim(batch)):
        state = field_data.field_data(quiet_period_s=0, retrain=False, return_state=True)
    assert state.is_completed()
    assert "ingest-good-" in state.message
    assert "is under way already (process " in state.message
    assert batch.exists()


def test_an_empty_inbox_needs_no_server(
    here: Path, field_data: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(field_data, "field_data", None)
    field_data.main()
    assert capsys.readouterr().out == "nothing new in data/inbox\n"


def test_the_key_of_a_hand_over_follows_data_and_parameters(here: Path, field_data: ModuleType) -> None:
    settings = field_data.load_settings()
    keys = {field_data.idempotency_key(settings)}
    Path("data/raw/a.dvc").write_text("outs:\n- {md5: 12ab.dir, path: a}\n")
    keys.add(field_data.idempotency_key(settings))
    Path("data/raw/a.dvc").write_text("outs:\n- {md5: 34cd.dir, path: a}\n")
    keys.add(field_data.idempotency_key(settings))
    assert field_data.idempotency_key(settings) in keys
    report = settings.report.model_copy(update={"examples": 9})
    keys.add(field_data.idempotency_key(settings.model_copy(update={"report": report})))
    assert len(keys) == 4


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/api", "nonsense", "http://[::1"])
def test_a_server_that_does_not_answer_is_one_line(
    retraining: ModuleType, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", url)
    with pytest.raises(
        UsageError, match=r"PREFECT_API_URL: no Prefect server answers at .* or unset PREFECT_API_URL"
    ) as e:
        retraining.check_server()
    assert "\n" not in str(e.value)
    monkeypatch.delenv("PREFECT_API_URL")
    retraining.check_server()


def test_a_run_is_a_worker_of_the_search(flows: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_frames(tmp_path / PREPARED)
    (tmp_path / QUARANTINED).parent.mkdir()
    (tmp_path / QUARANTINED).write_text("batch,frame_id\n")
    settings = search_settings(trials=1)
    (tmp_path / "params.yaml").write_text(dump_yaml(settings.model_dump(mode="json")))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(ROOT / "pipelines/flows")
    import search_worker

    state = search_worker.search_worker(return_state=True)
    assert state.is_failed()
    assert "has no study to join" in str(state.message)
    run_search(Source.of_project(None), settings, [], lambda _: None)
    assert search_worker.search_worker(return_state=True).message == "search-1: nothing left to do"
