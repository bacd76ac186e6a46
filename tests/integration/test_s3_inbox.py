"""Batches in a real S3 bucket come into the inbox whole and once."""

import shutil
from pathlib import Path

import pytest

from helpers.paths import ROOT
from helpers.servers import S3
from helpers.synthetic_scenes import write_synthetic_batch
from sensorproof.ingestion.file_manifest import hash_files
from sensorproof.ingestion.inbox import scan
from sensorproof.ingestion.ledger import read_entries
from sensorproof.ingestion.remote_inbox import fetch_new
from sensorproof.settings import Settings, load_settings


@pytest.fixture
def settings(s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A project whose inbox is fed from a bucket with a folder, an archive and a stray file."""
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "project/data/inbox").mkdir(parents=True)
    (tmp_path / "project/data/quarantine").mkdir()
    shutil.copy(ROOT / "params.yaml", tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    address = s3.bucket(tmp_path.name.replace("_", "-").strip("-").lower()[-40:])
    bucket = s3.folder / address.removeprefix("s3://")
    first = write_synthetic_batch(tmp_path / "first", 4)
    shutil.copytree(first, bucket / "field/first")
    shutil.make_archive(str(bucket / "field/second"), "zip", write_synthetic_batch(tmp_path / "second", 4))
    (bucket / "field/readme.txt").write_text("no batch")
    (bucket / "elsewhere.txt").write_text("not below the folder")
    loaded = load_settings()
    return loaded.model_copy(
        update={"ingestion": loaded.ingestion.model_copy(update={"s3": f"{address}/field"})},
    )


def test_each_folder_and_archive_is_fetched_once(settings: Settings, tmp_path: Path) -> None:
    waiting = fetch_new(settings, 3600)
    assert (waiting.names, waiting.incomplete, waiting.faults) == ([], ["first", "second.zip"], [])
    fetched = fetch_new(settings, 0)
    assert (fetched.names, fetched.incomplete, fetched.faults) == (["first", "second.zip"], [], [])
    assert hash_files(Path("data/inbox/first")) == hash_files(tmp_path / "first")
    assert [path.name for path in scan(settings, 3600, fetched.names).ready] == ["first", "second.zip"]
    shutil.rmtree("data/inbox/first")
    again = fetch_new(settings, 0)
    assert (again.names, again.faults) == ([], [])
    entries = [(entry.action, entry.batch) for entry in read_entries(Path("data/ingested.jsonl"))]
    assert entries == [("fetched", "first"), ("fetched", "second.zip")]


def test_what_is_in_the_way_and_a_bucket_out_of_reach_are_one_line(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("data/inbox/first").mkdir()
    fetched = fetch_new(settings, 0)
    assert fetched.names == ["second.zip"]
    assert "is in the way of the same name in the bucket" in str(fetched.faults[0])
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    (fault,) = fetch_new(settings, 0).faults
    assert "cannot be read" in str(fault)
    assert "\n" not in str(fault)
