"""A webhook is told that a candidate waits; a webhook that does not answer fails nothing."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, ClassVar

import pytest

from sensorproof.documents import PromotionRecord
from sensorproof.promotion.notification import notify

WAITING = PromotionRecord(decision="waiting", model="sensorproof", version=7, gates=(), reasons=())


class Receiver(BaseHTTPRequestHandler):
    """Keeps what it is sent."""

    bodies: ClassVar[list[Any]] = []

    def do_POST(self) -> None:
        self.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


def test_a_webhook_gets_the_decision() -> None:
    with HTTPServer(("127.0.0.1", 0), Receiver) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        assert notify(f"http://127.0.0.1:{server.server_port}/hook", WAITING) is None
    (body,) = Receiver.bodies
    assert "version 7 passed all gates" in body["text"]
    assert body["promotion"]["decision"] == "waiting"


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/hook", "nowhere", "file:///etc/hostname"])
def test_a_webhook_that_does_not_answer_is_a_warning(url: str) -> None:
    warning = notify(url, WAITING)
    assert warning is not None
    assert warning.startswith("warning: promotion.notify: nobody was told")
    assert "\n" not in warning
