"""Whom the Prefect server tells of what; and a newer batch that takes the place of a running retraining."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml

from helpers.evaluations import summary_of_gain
from helpers.prefect_site import Site, make_site_project, serving_site, small_batch, wait_for
from helpers.servers import is_alive

PIPELINE = """\
stages:
  prepare:
    cmd: ls ${data.raw} > names.txt
    deps:
      - ${data.raw}
    outs:
      - names.txt
  train:
    cmd: test ! -e slow || { touch artifacts/checkpoint; echo $$ > pid; exec sleep 600; }
    deps:
      - names.txt
  register:
    cmd: test ! -e broken && cp decided.json artifacts/summary.json
    deps:
      - names.txt
      - decided.json
    outs:
      - artifacts/summary.json:
          cache: false
"""


class Receiver(BaseHTTPRequestHandler):
    """Keeps the texts that it is sent."""

    texts: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        self.texts.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["text"])
        self.send_response(204)
        self.end_headers()

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


def decide(root: Path, decision: str) -> None:
    """Let stage register decide so, of a model that no registry has."""
    summary = summary_of_gain(1.0, 0.5, 1.5).to_json()
    summary["promotion"] |= {"decision": decision, "version": None}
    (root / "decided.json").write_text(json.dumps(summary))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site where newer batches replace, and all that can be told is told to a receiver on this machine."""
    root = tmp_path_factory.mktemp("events") / "project"
    make_site_project(root, PIPELINE)
    (root / "artifacts").mkdir()
    decide(root, "waiting")
    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as receiver:
        threading.Thread(target=receiver.serve_forever, daemon=True).start()
        params = yaml.safe_load((root / "params.yaml").read_text())
        params["notifications"]["to"] = f"http://127.0.0.1:{receiver.server_port}/hook"
        params["schedule"]["newer"] = "replace"
        (root / "params.yaml").write_text(yaml.safe_dump(params))
        with serving_site(root, {}) as site:
            yield site
        receiver.shutdown()


def told(site: Site, *parts: str) -> None:
    """Wait until a text with all these parts has arrived."""
    wait_for(lambda: any(all(part in text for part in parts) for text in Receiver.texts), site.worker_log)


def test_every_kind_of_event_has_an_automation(site: Site) -> None:
    automations = site.ask("automations/filter", limit=50)
    ours = {each["name"] for each in automations if each["name"].startswith("sensorproof: ")}
    assert ours == {f"sensorproof: {kind}" for kind in ("refused", "quarantined", "failed", "waiting", "promoted")}


def test_a_newer_batch_replaces_the_run_under_way(site: Site) -> None:
    root = site.root
    (root / "slow").touch()
    first = site.start("retraining/nightly")
    pid = root / "pid"
    wait_for(lambda: pid.exists() and pid.read_text().strip(), site.worker_log)
    stage = int(pid.read_text())
    (root / "slow").unlink()
    small_batch(root / "data/inbox/second", 10)
    picture = next((root / "data/inbox/second/camera").iterdir())
    picture.write_bytes(picture.read_bytes()[:100])
    state = site.end_of(site.start("field-data/polling", quiet_period_s=0))
    assert state["type"] == "COMPLETED", state
    name = site.ask(f"flow_runs/{first}")["name"]
    assert f", which replaces '{name}'" in state["message"]
    assert site.end_of(first)["type"] == "CANCELLED"
    wait_for(lambda: not is_alive(stage), site.worker_log)
    assert (root / "artifacts/checkpoint").exists()
    newer = site.runs("retraining")[0]
    assert newer["id"] != first
    state = site.end_of(newer["id"])
    assert state["type"] == "COMPLETED", state
    assert "register ran; waiting: sensorproof" in state["message"]


def test_quarantine_and_a_waiting_candidate_are_told(site: Site) -> None:
    told(site, "Sensorproof: quarantined", "of second are in quarantine")
    told(site, "Sensorproof: waiting", "waits for `sensorproof registry approve`")


def test_a_promotion_is_told(site: Site) -> None:
    decide(site.root, "promoted")
    site.end_of(site.start("retraining/nightly"))
    told(site, "Sensorproof: promoted", "sensorproof is champion")


def test_a_refused_batch_is_told_and_is_no_failure(site: Site) -> None:
    (site.root / "data/inbox/empty").mkdir()
    state = site.end_of(site.start("field-data/polling", quiet_period_s=0))
    assert state["name"] == "Refused"
    told(site, "Sensorproof: refused", "data/inbox/empty/batch.yaml: is missing")
    assert not any("Sensorproof: failed" in text for text in Receiver.texts)


def test_a_failed_run_is_told(site: Site) -> None:
    (site.root / "broken").touch()
    decide(site.root, "refused")
    state = site.end_of(site.start("retraining/nightly"))
    assert state["type"] == "FAILED"
    told(site, "Sensorproof: failed", "retraining", "stage register")
