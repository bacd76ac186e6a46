"""Progress on standard error: one line that changes on a terminal, else a line a minute."""

import sys
import time
from collections.abc import Callable
from typing import TextIO

_TERMINAL_S, _LOG_S = 0.2, 60.0
"""The shortest time between two lines, in seconds."""


class Progress:
    """Prints `done` of `total`, the speed, and the time that is left at that speed.

    Args:
        unit: what is counted, in the plural.
        stream: where to print; by default standard error.
        clock: the time in seconds.
    """

    def __init__(self, unit: str, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._unit, self._stream, self._clock = unit, stream or sys.stderr, clock
        self._is_terminal = self._stream.isatty()
        self._start: tuple[int, float] | None = None
        self._printed = 0.0

    def __call__(self, done: int, total: int) -> None:
        """Note how much is done. What the first call names was done before; it does not count for the speed."""
        now = self._clock()
        if self._start is None:
            self._start = (done, now)
            self._printed = now - (_TERMINAL_S if self._is_terminal else 0)
        if done >= total:
            self.clear()
        elif now - self._printed >= (_TERMINAL_S if self._is_terminal else _LOG_S):
            line = self._line(done - self._start[0], now - self._start[1], done, total)
            self._stream.write(f"\r\x1b[K{line}" if self._is_terminal else f"{line}\n")
            self._stream.flush()
            self._printed = now

    def clear(self) -> None:
        """Remove the line from a terminal."""
        if self._is_terminal:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def _line(self, newly: int, seconds: float, done: int, total: int) -> str:
        speed = newly / seconds if seconds > 0 else 0.0
        left = f", {speed:.3g} a second, {duration((total - done) / speed)} left" if speed else ""
        return f"{done:,} of {total:,} {self._unit}{left}"


def duration(seconds: float) -> str:
    """Return a time as `40 s`, `5 min` or `3 h 20 min`."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
