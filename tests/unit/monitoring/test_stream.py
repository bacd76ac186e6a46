"""From evidence to verdicts: what alarms, what waits, and what is never left out."""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorproof.monitoring.stream import (
    FROZEN,
    MEMORY,
    MISMATCH,
    RECOVERING,
    RECOVERY,
    UNDECIDED,
    UNUSUAL,
    WINDOW,
    FrameEvidence,
    Stream,
    Verdict,
)

SENSORS = ("camera", "depth", "lidar")
PAIRS = tuple(combinations(SENSORS, 2))
THRESHOLD = 4.0


def evidence(
    frame: int = 0,
    sensors: Sequence[str] = SENSORS,
    unusual: Mapping[str, float] | None = None,
    digests: Mapping[str, int] | None = None,
    wrong: Sequence[str] = (),
    odds: float = 2.0,
) -> FrameEvidence:
    """A sound frame, but for what is named: unusual images, repeated ones, sensors that match no other."""
    return FrameEvidence(
        dict.fromkeys(sensors, 0.3) | dict(unusual or {}),
        {name: 100 * frame + place + 1 for place, name in enumerate(sensors)} | dict(digests or {}),
        {pair: -odds if set(pair) & set(wrong) else odds for pair in PAIRS if set(pair) <= set(sensors)},
    )


def failing(verdicts: Mapping[str, Verdict]) -> set[str]:
    return {name for name, verdict in verdicts.items() if verdict.failing}


def judge(frames: Sequence[FrameEvidence], threshold: float = THRESHOLD) -> list[dict[str, Verdict]]:
    stream = Stream(threshold)
    return [stream.judge(frame) for frame in frames]


def test_sound_sensors_are_used() -> None:
    for verdicts in judge([evidence(k) for k in range(2 * MEMORY)]):
        assert verdicts == {name: Verdict(False, 0.3) for name in SENSORS}


def test_an_unusual_image_alarms_at_once() -> None:
    (verdicts,) = judge([evidence(unusual={"depth": 1.01})])
    assert verdicts["depth"] == Verdict(True, 1.01, UNUSUAL)
    assert failing(verdicts) == {"depth"}
    assert failing(judge([evidence(unusual={"depth": 1.0})])[0]) == set()


def test_one_false_alarm_costs_one_frame() -> None:
    frames = [evidence(k, unusual={"camera": 3.0} if k == 4 else {}) for k in range(9)]
    assert [k for k, verdicts in enumerate(judge(frames)) if failing(verdicts)] == [4]


@pytest.mark.parametrize(("faults", "out"), [({3, 4}, [3, 4, 5, 6]), ({3, 5}, [3, 5, 6])])
def test_two_faults_in_three_frames_keep_a_sensor_out_until_one_of_them_is_past(
    faults: set[int], out: list[int]
) -> None:
    frames = [evidence(k, unusual={"camera": 3.0} if k in faults else {}) for k in range(12)]
    found = judge(frames)
    assert [k for k, verdicts in enumerate(found) if failing(verdicts)] == out
    assert max(out) == min(faults) + RECOVERY
    assert found[max(out)]["camera"] == Verdict(True, 0.3, RECOVERING)


def test_two_faults_further_apart_are_two_single_ones() -> None:
    frames = [evidence(k, unusual={"camera": 3.0} if k in {1, 5} else {}) for k in range(12)]
    assert [k for k, verdicts in enumerate(judge(frames)) if failing(verdicts)] == [1, 5]


def test_a_sensor_that_stays_out_does_not_keep_itself_out() -> None:
    """Only faults count as faults; a sensor that recovers has none."""
    frames = [evidence(k, unusual={"camera": 3.0} if k < 5 else {}) for k in range(12)]
    out = [k for k, verdicts in enumerate(judge(frames)) if failing(verdicts)]
    assert out == list(range(5 + RECOVERY - 1))


def test_a_frozen_sensor_is_found_where_another_one_moves() -> None:
    frames = [evidence(k, digests={"lidar": 77}) for k in range(3)]
    found = judge(frames)
    assert failing(found[0]) == set()
    assert found[1]["lidar"] == Verdict(True, 2.0, FROZEN)
    assert failing(found[1]) == failing(found[2]) == {"lidar"}


def test_a_scene_that_stands_still_freezes_nothing() -> None:
    still = {name: place + 1 for place, name in enumerate(SENSORS)}
    assert all(not failing(verdicts) for verdicts in judge([evidence(k, digests=still) for k in range(5)]))
    alone = [evidence(k, ["lidar"], digests={"lidar": 77}) for k in range(5)]
    assert all(not failing(verdicts) for verdicts in judge(alone))


def test_a_frame_by_itself_freezes_nothing() -> None:
    for k in range(3):
        assert failing(judge([evidence(k, digests={"lidar": 77})])[0]) == set()


def test_an_image_that_shows_nothing_never_repeats_and_never_moves() -> None:
    assert all(not failing(v) for v in judge([evidence(k, digests={"lidar": 0}) for k in range(5)]))
    dull = {"camera": 0, "depth": 0, "lidar": 77}
    assert all(not failing(v) for v in judge([evidence(k, digests=dull) for k in range(5)]))


def test_an_image_is_a_repetition_of_any_of_the_last_frames_but_not_of_older_ones() -> None:
    for gap, expected in ((2, {"lidar"}), (WINDOW, {"lidar"}), (WINDOW + 1, set())):
        frames = [evidence(k, digests={"lidar": 77} if k in {0, gap} else {}) for k in range(gap + 1)]
        assert failing(judge(frames)[-1]) == expected, gap


@pytest.mark.parametrize("wrong", SENSORS)
def test_a_mismatch_is_laid_to_the_right_one_of_three(wrong: str) -> None:
    (verdicts,) = judge([evidence(wrong=[wrong], odds=4.0)])
    assert failing(verdicts) == {wrong}
    assert verdicts[wrong].reason == MISMATCH
    assert verdicts[wrong].score == pytest.approx(1 + (8 - THRESHOLD) / THRESHOLD)


def test_where_no_two_sensors_match_none_is_blamed() -> None:
    assert failing(judge([evidence(wrong=SENSORS, odds=6.0)])[0]) == set()


def test_evidence_that_is_weak_in_each_frame_adds_up() -> None:
    frames = [evidence(k, wrong=["depth"], odds=0.6) for k in range(6)]
    out = [k for k, verdicts in enumerate(judge(frames)) if failing(verdicts) == {"depth"}]
    assert out == [3, 4, 5]  # 2 pairs x 0.6 x 4 frames exceed 4


def test_evidence_older_than_the_window_is_forgotten() -> None:
    weak = 0.9 * THRESHOLD / (2 * WINDOW)
    assert not any(failing(v) for v in judge([evidence(k, wrong=["depth"], odds=weak) for k in range(5 * WINDOW)]))


def test_a_mismatch_in_a_long_stream_is_noticed_within_a_few_frames() -> None:
    """The frames before, in which all matched, do not outweigh it."""
    frames = [evidence(k, wrong=["lidar"] if k >= 50 else [], odds=1.5) for k in range(60)]
    out = [k for k, verdicts in enumerate(judge(frames)) if failing(verdicts)]
    assert 50 < out[0] <= 52
    assert out == list(range(out[0], 60))


def test_two_sensors_of_four_that_match_no_other_are_both_found() -> None:
    names = ("a", "b", "c", "d")
    odds = {(a, b): 4.0 if (a, b) == ("a", "b") else -5.0 if "c" in (a, b) else -3.0 for a, b in combinations(names, 2)}
    verdicts = Stream(THRESHOLD).judge(FrameEvidence(dict.fromkeys(names, 0.0), {}, odds))
    assert failing(verdicts) == {"c", "d"}


def test_a_sensor_that_is_unusual_bears_no_witness() -> None:
    """It matches nothing, which must not be held against the others."""
    frame = evidence(unusual={"camera": 9.0}, wrong=["camera"], odds=6.0)
    assert failing(judge([frame])[0]) == {"camera"}
    assert judge([frame])[0]["depth"].reason == ""


def test_two_sensors_that_disagree_are_both_named_and_both_used() -> None:
    frames = [evidence(k, ["camera", "depth"], wrong=["camera"], odds=3.0) for k in range(4)]
    found = judge(frames)
    assert all(not failing(verdicts) for verdicts in found)
    assert found[0]["camera"].reason == ""  # not yet certain
    assert found[1]["camera"].reason == found[1]["depth"].reason == f"camera and depth {UNDECIDED}"


def test_the_two_that_are_left_of_three_are_named_as_well() -> None:
    frame = evidence(unusual={"lidar": 5.0}, wrong=["camera"], odds=6.0)
    (verdicts,) = judge([frame])
    assert failing(verdicts) == {"lidar"}
    assert verdicts["camera"].reason == verdicts["depth"].reason == f"camera and depth {UNDECIDED}"


def test_the_least_unusual_sensor_stays_where_all_are_unusual() -> None:
    (verdicts,) = judge([evidence(unusual={"camera": 5.0, "depth": 3.0, "lidar": 4.0})])
    assert failing(verdicts) == {"camera", "lidar"}
    assert verdicts["depth"].score == 3.0


def test_a_sensor_that_only_recovers_is_kept_before_one_with_a_fault() -> None:
    both = {"camera": 3.0, "depth": 0.2}
    frames = [evidence(k, ["camera", "depth"], unusual={"depth": 9.0}) for k in range(3)]
    (*_, last) = judge([*frames, evidence(3, ["camera", "depth"], unusual=both)])
    assert failing(last) == {"camera"}


def test_a_frame_without_a_sensor_has_no_verdict() -> None:
    assert judge([FrameEvidence({}, {}, {}), evidence(1)])[0] == {}


def test_a_threshold_is_learnt_from_streams_that_never_alarm() -> None:
    stream = Stream(np.inf)
    stream.judge(evidence(wrong=["depth"], odds=2.0))
    assert stream.evidence_against(list(SENSORS)) == pytest.approx(4.0)
    assert stream.evidence_against(["camera", "lidar"]) == pytest.approx(-2.0)
    assert stream.evidence_against(["camera"]) == -np.inf


_ODDS = st.sampled_from([-6.0, -3.0, -1.0, -0.5, 0.0, 0.5, 2.0, 6.0])


@st.composite
def _frames(draw: st.DrawFn) -> FrameEvidence:
    """Any evidence; few digests, so that images repeat."""
    here = sorted(draw(st.sets(st.sampled_from((*SENSORS, "thermal")))))
    return FrameEvidence(
        {name: draw(st.sampled_from([0.0, 0.5, 1.0, 1.5, 9.0])) for name in here},
        {name: draw(st.integers(0, 9)) for name in here},
        {pair: draw(_ODDS) for pair in combinations(here, 2)},
    )


@given(st.lists(_frames(), max_size=12), st.sampled_from([0.0, 1.0, 4.0]))
def test_whatever_happens_a_sensor_that_is_there_is_used(frames: list[FrameEvidence], threshold: float) -> None:
    for frame, verdicts in zip(frames, judge(frames, threshold), strict=True):
        assert set(verdicts) == set(frame.unusual)
        assert not verdicts or failing(verdicts) < set(verdicts)
        assert all(verdict.reason for verdict in verdicts.values() if verdict.failing)


def _random_frames(seed: int, number: int) -> list[FrameEvidence]:
    """Evidence in which faults come and go: many more frames than hypothesis would draw one by one."""
    rng = np.random.default_rng(seed)
    frames = []
    for _ in range(number):
        here = [name for name in SENSORS if rng.random() < 0.9]
        frames.append(
            FrameEvidence(
                {name: float(rng.choice([0.2, 2.0], p=[0.85, 0.15])) for name in here},
                {
                    name: int(rng.choice([0, 1, 2, int(rng.integers(3, 10**6))], p=[0.1, 0.1, 0.1, 0.7]))
                    for name in here
                },
                {pair: float(rng.choice([-6, -2, -1, 0.5, 1, 3])) for pair in combinations(here, 2)},
            )
        )
    return frames


@settings(max_examples=100)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1.0, 4.0, 8.0]))
def test_a_stream_that_begins_as_many_frames_earlier_as_it_remembers_says_the_same(seed: int, threshold: float) -> None:
    """The parts of a batch that is predicted in shards rest on this."""
    frames = _random_frames(seed, MEMORY + 12)
    whole = judge(frames, threshold)
    for last in range(MEMORY - 1, len(frames)):
        part = judge(frames[last - MEMORY + 1 : last + 1], threshold)
        assert part[-1] == whole[last]


def test_a_verdict_can_depend_on_the_first_frame_that_is_remembered() -> None:
    """Where an image repeats one, it bears no witness, which matters a window later, and to a recovery after that."""
    again, doubts = WINDOW, range(WINDOW, 2 * WINDOW + 1)
    frames = [
        evidence(k, digests={"lidar": 77} if k in {0, again} else {}, wrong=["lidar"] if k in doubts else [], odds=0.3)
        for k in range(MEMORY - 2)
    ]
    frames += [evidence(k) for k in range(len(frames), MEMORY)]
    threshold = 0.6 * (WINDOW - 0.5)  # reached by doubts in every frame of the window
    assert failing(judge(frames, threshold)[-1]) == set()
    assert judge(frames[1:], threshold)[-1]["lidar"].reason == RECOVERING
