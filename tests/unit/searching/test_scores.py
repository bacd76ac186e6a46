from pathlib import Path

import pytest
import torch

from helpers.search import make_scores, search_settings, write_frames
from sensorproof.documents import promotion as gates
from sensorproof.evaluation.failures import FAILURES
from sensorproof.evaluation.frame_source import PreparedFrames
from sensorproof.evaluation.silent import score_silent_failures
from sensorproof.evaluation.subsets import score_subsets
from sensorproof.models import build_model, describe_model
from sensorproof.monitoring.fit import fit_monitor
from sensorproof.searching.data import SearchData
from sensorproof.searching.scores import find_violations, score_validation
from sensorproof.searching.silent import add_silent_failures


def test_the_scores_are_those_of_the_subsets(tmp_path: Path) -> None:
    write_frames(tmp_path)
    data = SearchData(tmp_path)
    torch.manual_seed(0)
    model = build_model(describe_model(search_settings().model, data.meta))
    options = {"seed": 3, "fold": 0, "device": "cpu", "batch_size": 2, "fewest": 2}
    scores = score_validation(model, data, **options)  # type: ignore[arg-type]
    expected = score_subsets(model, data.ordered("val", 4), data.meta.class_names)
    assert (scores.full, scores.mean, scores.worst) == (expected.full, expected.mean, expected.worst)
    assert set(scores.sites) == {"d", "e"}
    assert scores.conditions == {"day": pytest.approx(expected.mean)}
    classes = [sum(own.values()) for own in expected.per_class.values() if None not in own.values()]  # type: ignore[arg-type]
    assert sum(scores.classes.values()) == pytest.approx(sum(classes) / len(expected.subsets))
    few = score_validation(model, data, **options | {"fewest": 3})  # type: ignore[arg-type]
    assert (few.sites, few.conditions) == ({}, scores.conditions)


def test_a_limit_is_broken_by_what_lies_beyond_it() -> None:
    limits = search_settings().promotion.model_copy(update={"min_worst": 10.0, "max_loss_full": 1.0})
    reference = [make_scores(50.0, 30.0)]
    kept = find_violations([make_scores(49.5, 31.0, worst=12.0)], reference, limits)
    assert kept[gates.LOSS_FULL] == pytest.approx(-0.5)
    assert kept[gates.WORST_SUBSET] == pytest.approx(-2.0)
    assert kept[gates.GAIN_BASELINE] == pytest.approx(-1.0)
    assert kept[gates.SITE_LOSS] == pytest.approx(-1.0 - limits.max_loss_site)
    broken = find_violations([make_scores(48.0, 20.0, worst=9.0)], reference, limits)
    assert broken[gates.LOSS_FULL] == pytest.approx(1.0)
    assert broken[gates.WORST_SUBSET] == pytest.approx(1.0)
    assert broken[gates.CLASS_LOSS] == pytest.approx(10.0 - limits.max_loss_class)


def test_seeds_and_folds_are_averaged() -> None:
    limits = search_settings().promotion
    reference = [make_scores(50.0, 30.0), make_scores(60.0, 40.0, fold=1)]
    ours = [make_scores(50.0, 35.0), make_scores(58.0, 41.0, fold=1), make_scores(52.0, 36.0, seed=1)]
    violations = find_violations(ours, reference, limits)
    assert violations[gates.GAIN_BASELINE] == pytest.approx(35.0 - (35.0 + 41.0 + 36.0) / 3)


def test_silent_failures_count_where_every_side_was_tried_with_them() -> None:
    limits = search_settings().promotion.model_copy(update={"max_loss_silent": 1.0, "max_false_alarms": 0.01})
    plain, tried = make_scores(50.0, 30.0), make_scores(50.0, 30.0)
    reference = [tried.model_copy(update={"silent": 25.0, "false_alarms": 0.5})]
    ours = [tried.model_copy(update={"silent": 22.0, "false_alarms": 0.03})]
    broken = find_violations(ours, reference, limits)
    assert broken[gates.SILENT_LOSS] == pytest.approx(2.0)
    assert broken[gates.FALSE_ALARMS] == pytest.approx(2.0)
    unknown = {gates.SILENT_LOSS, gates.FALSE_ALARMS}
    assert not unknown & find_violations([plain], reference, limits).keys()
    assert not unknown & find_violations([*ours, plain], reference, limits).keys()
    assert gates.SILENT_LOSS not in find_violations(ours, [plain], limits)


def test_silent_failures_are_tried_on_validation_frames_with_a_monitor_of_the_model(tmp_path: Path) -> None:
    write_frames(tmp_path)
    data = SearchData(tmp_path)
    torch.manual_seed(0)
    model = build_model(describe_model(search_settings().model, data.meta))
    settings = search_settings().monitoring
    scores = add_silent_failures(make_scores(50.0, 30.0), model, data, settings)
    frames = PreparedFrames.of_split(data, "val")
    expected = score_silent_failures(model, fit_monitor(model, data, settings), frames, FAILURES)
    assert scores.silent == pytest.approx(expected.mean)
    assert scores.false_alarms == expected.false_alarms.alarms / expected.false_alarms.images
    assert (scores.full, scores.mean) == (50.0, 30.0)
