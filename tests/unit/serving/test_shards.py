"""Shards: each frame belongs to exactly one, and a wrong text is refused."""

import pytest

from sensorproof.errors import UsageError
from sensorproof.serving.shards import Shard


@pytest.mark.parametrize("frames", [1, 2, 5, 40, 41])
@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_each_frame_belongs_to_one_shard(frames: int, count: int) -> None:
    shards = [shard.rows(frames) for shard in Shard(1, count).all()]
    assert [row for rows in shards for row in rows] == list(range(frames))
    assert max(map(len, shards)) - min(map(len, shards)) <= 1


def test_a_shard_is_read_as_it_is_written() -> None:
    assert Shard.parse("2/3") == Shard(2, 3)
    assert str(Shard(2, 3)) == "2/3"


@pytest.mark.parametrize("text", ["0/3", "4/3", "a/b", "1", "", "1/0", "-1/3", "1/3/5", "1 / 3", "1.0/3", "²/3"])
def test_another_text_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="give i/n with i from 1 to n"):
        Shard.parse(text)
