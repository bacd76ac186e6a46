"""Every task is counted once, whatever the entries of the study went through."""

from datetime import datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from helpers.search import make_result, make_scores, search_settings
from sensorproof.searching.schedule import missing_repeats, next_action
from sensorproof.searching.tasks import MOST_ATTEMPTS, Attempt, Board, Task

NOW = datetime(2026, 1, 1)
REFERENCE = (make_scores(50.0, 30.0),)


def attempt(number: int, state: Any, task: Task | None = None, **fields: Any) -> Attempt:
    result = make_result(50.0 + number, 40.0) if state == "done" else None
    values = {"strength.prediction": 0.1}
    return Attempt(**{"number": number, "state": state, "task": task, "result": result, "values": values} | fields)


def board(*attempts: Attempt, limit: int | None = 2) -> Board:
    return Board(attempts, 0, limit)


def test_entries_beyond_the_limit_are_surplus() -> None:
    study = board(attempt(0, "done"), attempt(1, "running"), attempt(2, "running"))
    assert (study.task_of(1), study.task_of(2)) == (Task(1, 0), None)
    assert study.trials() == 2


def test_a_task_whose_worker_died_is_lost_until_it_is_handed_out_again() -> None:
    study = board(attempt(0, "abandoned"), attempt(1, "done"))
    assert list(study.lost()) == [Task(0, 0)]
    again = board(*study.attempts, attempt(2, "running", Task(0, 0)))
    assert (again.lost(), again.task_of(2)) == ({}, Task(0, 0))


def test_what_was_handed_out_twice_counts_once() -> None:
    study = board(attempt(0, "abandoned"), attempt(1, "done", Task(0, 0)), attempt(2, "running", Task(0, 0)))
    assert study.task_of(2) is None
    assert [own.number for own in study.results().values()] == [1]


def test_a_task_that_kills_its_workers_is_given_up() -> None:
    tries = [attempt(k, "abandoned", Task(0, 0)) for k in range(MOST_ATTEMPTS)]
    assert board(*tries).lost() == {}
    assert list(board(*tries).hopeless()) == [Task(0, 0)]
    assert board(*tries, limit=1).is_settled()


@given(st.lists(st.tuples(st.sampled_from(["done", "abandoned", "surplus", "running"]), st.booleans()), max_size=12))
def test_every_trial_has_at_most_one_holder_and_none_is_forgotten(entries: list[tuple[str, bool]]) -> None:
    study = board(*(attempt(k, state, Task(0, 0) if again else None) for k, (state, again) in enumerate(entries)))
    new = sum(state != "surplus" and not again for state, again in entries)
    tried = any(again and state != "surplus" for state, again in entries)
    assert {task.trial for task in study.tasks()} == {*range(min(new, 2)), *([0] if tried else [])}
    owners = [study.task_of(own.number) for own in study.attempts]
    assert len([own for own in owners if own]) == len({own for own in owners if own})
    for task, holder in study.holders().items():
        assert (holder is None) == all(own.state == "abandoned" for own in study.tasks()[task])


def test_a_worker_takes_waits_and_goes() -> None:
    settings = search_settings(trials=2)
    assert next_action(board(), settings, NOW) == "claim"
    assert next_action(board(attempt(0, "running"), attempt(1, "running")), settings, NOW) == "wait"
    assert next_action(board(attempt(0, "done"), attempt(1, "done")), settings, NOW) == "finish"
    waiting = board(attempt(0, "done"), attempt(1, "done"), attempt(2, "waiting", Task(0, 1)))
    assert next_action(waiting, settings, NOW) == "claim"


def test_time_that_is_up_starts_nothing() -> None:
    settings = search_settings(trials=None, minutes=1.0)
    span = {"started": NOW, "ended": NOW + timedelta(seconds=40)}
    later = {"started": NOW + timedelta(seconds=30), "ended": NOW + timedelta(seconds=59)}
    study = board(attempt(0, "done", **span), attempt(1, "done", **later), limit=None)
    assert study.seconds_spent(NOW) == 59
    assert next_action(study, settings, NOW + timedelta(days=1)) == "claim"
    more = board(*study.attempts, attempt(2, "running", started=NOW + timedelta(seconds=60)), limit=None)
    assert next_action(more, settings, NOW + timedelta(seconds=62)) == "wait"
    assert next_action(board(*more.attempts[:2], attempt(2, "waiting"), limit=None), settings, NOW) == "claim"


def test_further_seeds_go_to_those_that_are_close() -> None:
    settings = search_settings(trials=3, seeds=[0, 7], close=1.0)
    first = [attempt(k, "done", result=make_result(60.0, mean)) for k, mean in enumerate((40.0, 39.5, 30.0))]
    study = board(*first, limit=3)
    assert missing_repeats(study, REFERENCE, settings) == [Task(0, 7), Task(1, 7)]
    handed = board(*first, attempt(3, "waiting", Task(0, 7)), attempt(4, "waiting", Task(1, 7)), limit=3)
    assert missing_repeats(handed, REFERENCE, settings) == []
    # A repetition that does badly does not call for those of other trials.
    worse = attempt(3, "done", Task(0, 7), result=make_result(60.0, 20.0, seed=7))
    assert missing_repeats(board(*first, worse, limit=3), REFERENCE, settings) == [Task(1, 7)]


def test_no_further_seed_where_one_trial_is_clearly_best_or_some_still_run() -> None:
    settings = search_settings(trials=2, seeds=[0, 7], close=1.0)
    clear = [attempt(k, "done", result=make_result(60.0, mean)) for k, mean in enumerate((40.0, 30.0))]
    assert missing_repeats(board(*clear), REFERENCE, settings) == []
    assert missing_repeats(board(clear[0], attempt(1, "running")), REFERENCE, settings) == []


def test_a_trial_is_compared_with_all_others_that_came_as_far() -> None:
    first = attempt(0, "done", result=make_result(50.0, 40.0), checks=make_result(0, 0, [10.0, 20.0]).checks)
    second = attempt(1, "running", checks=make_result(0, 0, [30.0]).checks)
    dead = attempt(2, "abandoned", Task(1, 0), checks=make_result(0, 0, [99.0]).checks)
    study = board(first, second, dead)
    assert (study.rung_scores(0, but=1), study.rung_scores(0, but=0), study.rung_scores(1, but=1)) == (
        [10.0],
        [30.0],
        [20.0],
    )
