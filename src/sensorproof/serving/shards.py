"""A share of a batch's frames, for one of several processes or machines."""

import re
from dataclasses import dataclass
from typing import Self

from sensorproof.errors import UsageError

_FORM = re.compile(r"([0-9]{1,6})/([0-9]{1,6})")


@dataclass(frozen=True)
class Shard:
    """Shard `number` of `count`, counted from 1: a stretch of neighbouring frames."""

    number: int = 1
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `i/n`.

        Raises:
            UsageError: it has another form, or i is not in 1..n.
        """
        match = _FORM.fullmatch(text)
        number, count = map(int, match.groups()) if match else (0, 0)
        if not 1 <= number <= count:
            raise UsageError("--shard", f"{text!r:.40} is not a shard", "give i/n with i from 1 to n, such as 1/3")
        return cls(number, count)

    def all(self) -> list["Shard"]:
        """Return all shards that this one belongs to, in order."""
        return [Shard(number, self.count) for number in range(1, self.count + 1)]

    def rows(self, frames: int) -> range:
        """Return the rows of frames.csv that are the shard's; shards differ by one row at most."""
        return range((self.number - 1) * frames // self.count, self.number * frames // self.count)

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"
