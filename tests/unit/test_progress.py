"""Progress: one changing line on a terminal, and hardly anything in a log."""

import io

import pytest

from sensorproof.progress import Progress, duration


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def run(stream: io.StringIO, step_s: float, begun: int = 0) -> str:
    """Do 100 things, 10 at a time, each 10 in step_s seconds."""
    now = 0.0
    progress = Progress("frames", stream, lambda: now)
    for done in range(begun, 101, 10):
        progress(done, 100)
        now += step_s
    return stream.getvalue()


def test_a_terminal_shows_speed_and_time_left_and_is_clean_in_the_end() -> None:
    text = run(Terminal(), 20.0)
    lines = text.split("\r\x1b[K")
    assert lines[1] == "0 of 100 frames"
    assert lines[2] == "10 of 100 frames, 0.5 a second, 3 min left"
    assert lines[10] == "90 of 100 frames, 0.5 a second, 20 s left"
    assert lines[-1] == ""
    assert "\n" not in text


def test_what_was_done_before_does_not_count_for_the_speed() -> None:
    assert "60 of 100 frames, 0.5 a second, 1 min left" in run(Terminal(), 20.0, begun=50)


def test_a_log_is_quiet_unless_it_takes_long() -> None:
    assert run(io.StringIO(), 5.0) == ""
    assert run(io.StringIO(), 20.0).splitlines() == [
        "30 of 100 frames, 0.5 a second, 2 min left",
        "60 of 100 frames, 0.5 a second, 1 min left",
        "90 of 100 frames, 0.5 a second, 20 s left",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "0 s"), (59.4, "59 s"), (61, "1 min"), (3599, "1 h 0 min"), (12000, "3 h 20 min")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
