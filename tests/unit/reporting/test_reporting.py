"""Words, colours, axes and the README's figure."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from sensorproof.cli import app
from sensorproof.documents import (
    ArmSummary,
    DataSummary,
    Evaluation,
    FrameCounts,
    Gain,
    Gains,
    SearchSummary,
    Statistic,
)
from sensorproof.errors import SensorproofError, UsageError
from sensorproof.evaluation.gates import evaluate_gates, is_promoted
from sensorproof.reporting import formatting
from sensorproof.reporting.figure import compared_arm, draw_figure
from sensorproof.reporting.gain_chart import gain_chart
from sensorproof.reporting.palette import class_colors
from sensorproof.reporting.summary import summarize
from sensorproof.reporting.tables import class_rows, failure_sentence, score_rows, subset_groups
from sensorproof.reporting.training_curves import POINTS, read_history, thin, training_chart
from sensorproof.settings import PromotionSettings

PROMOTION = PromotionSettings(candidate="regularized", min_gain_mean=0.0, max_loss_full=1.0, max_loss_champion=0.0)
SUBSETS = ("camera", "depth", "camera+depth")
finite = st.floats(-30, 30)


def arm(shift: float, seeds: int = 3) -> ArmSummary:
    subsets = {name: Statistic(mean=40.0 + 10 * k + shift, std=1.0) for k, name in enumerate(SUBSETS)}
    return ArmSummary(
        seeds=tuple(range(seeds)),
        full=subsets["camera+depth"],
        mean=Statistic(mean=50.0 + shift, std=1.0),
        worst=subsets["camera"],
        spread=Statistic(mean=8.0 - shift, std=1.0),
        subsets=subsets,
        per_class={name: {"road": 50.0 + shift, "ghost": None} for name in SUBSETS},
        support={"road": 1000, "ghost": 0},
        parameters=348967,
        train_seconds=48.0 if shift == 0 else 77.0,
    )


def evaluation(mean: float, low: float | None, high: float | None, full: float = 0.5, seeds: int = 3) -> Evaluation:
    gain = Gain(value=mean, ci95=(low, high))
    frames = FrameCounts(train=2, val=2, test=6, quarantined=0)
    return Evaluation(
        data=DataSummary(batches=("b",), hash="0.dir", frames=frames),
        params_hash="0",
        git_commit=None,
        arms={"baseline": arm(0, seeds), "regularized": arm(mean, seeds)},
        gain=Gains(
            full=Gain(value=full, ci95=(None, None) if low is None else (full - 1, full + 1)), mean=gain, worst=gain
        ),
        search=SearchSummary(trials=0, best={}),
    )


@pytest.mark.parametrize(
    ("given_figures", "state", "sentence"),
    [
        (
            (3.1, 1.94, 4.26),
            "yes",
            "Averaged over all 3 sensor subsets it scores 3.1 points more than the baseline "
            "(95\xa0% interval +1.9 to +4.3, 3 seeds).",
        ),
        ((0.8, -0.4, 2.0), "unproven", "but the 95\xa0% interval over 3 seeds is −0.4 to +2.0, so it may be chance."),
        ((-0.8, -2.0, 0.4), "no", "it scores 0.8 points less than the baseline"),
        ((3.1, 1.9, 4.3, -1.8), "no", "With all sensors it loses 1.8 points; at most 1.0 may be lost."),
        ((0.8, -0.4, 2.0, -1.8), "no", "so it may be chance. With all sensors it loses 1.8 points"),
        ((3.1, None, None, 0.5, 1), "unproven", "3.1 points more than the baseline, but on one seed, which gives no"),
        ((0.01, -1.0, 1.0), "unproven", "it scores the same as the baseline"),
        ((math.nan, 1.0, 2.0), "none", "gain.mean.value is nan"),
    ],
)
def test_the_answer_fits_the_figures(given_figures: tuple, state: str, sentence: str) -> None:
    given_answer = summarize(evaluation(*given_figures), PROMOTION, 0.95, True)
    assert given_answer.state == state
    assert sentence in given_answer.sentence


def test_the_answer_names_the_cost() -> None:
    cost = summarize(evaluation(3.1, 1.9, 4.3), PROMOTION, 0.95, True).details[-1]
    assert "the same network of 348,967 parameters" in cost
    assert "1.6 times as long: 77 s a seed against 48 s" in cost
    assert "another network" in summarize(evaluation(3.1, 1.9, 4.3), PROMOTION, 0.95, False).details[-1]


def test_a_higher_bar_is_named() -> None:
    asked = PROMOTION.model_copy(update={"min_gain_mean": 2.0})
    assert "above +2.0" in summarize(evaluation(3.1, 1.9, 4.3), asked, 0.95, True).sentence
    assert "promotion asks for more than +2.0" in summarize(evaluation(1.0, 0.5, 1.5), asked, 0.95, True).sentence


@given(finite, st.floats(0, 20), finite, st.floats(-2, 2), st.booleans())
def test_the_answer_is_yes_just_where_the_gates_pass(
    mean: float, half: float, full: float, asked: float, one_seed: bool
) -> None:
    ends = (None, None) if one_seed else (mean - half, mean + half)
    document = evaluation(mean, *ends, full, 1 if one_seed else 3)
    promotion = PROMOTION.model_copy(update={"min_gain_mean": asked})
    given_answer = summarize(document, promotion, 0.9, True)
    gates = evaluate_gates(document, promotion, None)
    assert (given_answer.state == "yes") == is_promoted(gates)
    assert [line.passed for line in given_answer.gates] == [gate.passed for gate in gates]
    assert "95\xa0%" not in given_answer.sentence + "".join(given_answer.details)


def test_numbers_are_honest() -> None:
    assert [formatting.signed(v) for v in (2.14, -0.04, -0.06, 0.0, None, math.nan)] == [
        "+2.1",
        "0.0",
        "−0.1",
        "0.0",
        "–",
        "–",
    ]
    assert [formatting.share(v) for v in (0.0, 0.0004, 0.5)] == ["0.0 %", "< 0.1 %", "50.0 %"]
    assert [formatting.duration(v) for v in (0.42, 48.4, 119.6, 200, 7500)] == [
        "0.4 s",
        "48 s",
        "120 s",
        "3 min 20 s",
        "2 h 5 min",
    ]
    assert formatting.interval((None, None), 0.95) == "no interval: one seed"
    assert formatting.join(["a"]) == "a"
    assert formatting.join(["a", "b", "c"]) == "a, b and c"


def test_a_figure_just_past_its_limit_does_not_read_as_equal() -> None:
    assert formatting.apart(1.0264, 1.0) == ("1.03", "1.00")
    assert formatting.apart(2.5, 1.0) == ("2.5", "1.0")
    assert formatting.apart(1.0, 1.0) == ("1.0", "1.0")


def test_subsets_have_names_that_people_use() -> None:
    sensors = ["a", "b", "c", "d"]
    named = [formatting.subset_label(list(s), sensors) for s in ("abcd", "abd", "ab", "c")]
    assert named == ["all sensors", "without c", "a + b", "only c"]
    assert formatting.subset_label(["a"], ["a"]) == "only a"


@given(st.lists(st.text(max_size=5) | st.sampled_from(["Road", "road", "grass", "terrain", "car"]), max_size=120))
def test_no_two_classes_share_a_colour(names: list[str]) -> None:
    colors = class_colors(names)
    assert len(set(colors)) == len(names)
    assert colors == class_colors(names)


def test_tables_say_what_is_better() -> None:
    arms = {"baseline": arm(0), "regularized": arm(-2.0)}
    tones = [cell.tone for cell in score_rows(arms)[1].cells]
    assert tones == ["worse", "worse", "worse", "worse"]
    assert score_rows(arms)[1].cells[3].delta == pytest.approx(2.0)
    groups = subset_groups(arms)
    assert [(g.title, [r.label for r in g.rows]) for g in groups] == [
        ("nothing missing", ["all sensors"]),
        ("1 sensor missing", ["only depth", "only camera"]),
    ]
    cells = [cell for g in groups for r in g.rows for cell in r.cells]
    assert sorted(cell.heat for cell in cells)[0] == 0.0
    assert max(cell.heat for cell in cells) == 1.0
    assert failure_sentence(arms) == (
        "Losing one sensor costs the baseline model at most 20.0 points (without depth) "
        "and the regularised model at most 20.0 points (without depth)."
    )


def test_a_score_that_is_missing_is_not_a_zero() -> None:
    arms = {"baseline": arm(0), "regularized": arm(1.0)}
    subsets = {**arms["regularized"].subsets, "depth": Statistic(mean=math.nan, std=0.0)}
    arms["regularized"] = arms["regularized"].model_copy(update={"subsets": subsets})
    row = next(r for g in subset_groups(arms) for r in g.rows if r.label == "only depth")
    assert row.cells[1].value is None
    assert row.cells[1].delta is None
    ghost = class_rows(arms)[1]
    assert ghost.support == 0
    assert all(cell.value is None for cells in ghost.cells for cell in cells)


def test_the_gain_chart_keeps_places_in_order_and_zero_in_sight() -> None:
    chart = gain_chart(evaluation(3.0, 1.0, 5.0, 0.5).gain)
    assert chart is not None
    assert (chart.ticks[0].place, chart.ticks[-1].place) == (0, 100)
    for line in chart.lines:
        assert 0 <= line.start <= line.place <= line.end <= 100
        assert (line.place - chart.zero) * line.value > 0
    unknown = Gain(value=math.nan, ci95=(None, None))
    assert gain_chart(Gains(full=unknown, mean=unknown, worst=unknown)) is None
    single = gain_chart(evaluation(3.0, None, None, 0.5, 1).gain)
    assert single is not None
    assert {(line.low, line.high) for line in single.lines} == {(None, None)}


def test_curves_are_thinned_without_a_shift(tmp_path: Path) -> None:
    steps = np.arange(10, 10_010, 10, dtype=float)
    short, values = thin((steps.tolist(), (2 * steps).tolist()))
    assert len(short) == POINTS
    np.testing.assert_allclose(values, 2 * np.asarray(short))
    chart = training_chart({("baseline", 0): ([0.0, 50.0, 100.0], [2.0, 1.0, 0.5])})
    assert chart.lines[0].points == "0,0 500,500 1000,750"
    (tmp_path / "history.csv").write_text("step,loss,cross_entropy\n10,1,0.5\n20,1,\n30,1,nan\n")
    assert read_history(tmp_path / "history.csv") == ([10.0], [0.5])


@pytest.mark.parametrize("seeds", [1, 3])
def test_the_figure_is_drawn(seeds: int, tmp_path: Path) -> None:
    document = evaluation(*((3.0, None, None) if seeds == 1 else (3.0, 1.0, 5.0)), 3.0, seeds)
    document.write(tmp_path / "summary.json")
    done = CliRunner().invoke(app, ["figure", str(tmp_path / "summary.json"), str(tmp_path / "out.png")])
    assert done.exit_code == 0, done.output
    picture = np.asarray(Image.open(tmp_path / "out.png").convert("RGB"))
    assert picture.shape[1] == 1600
    blue = (picture == (0x15, 0x59, 0xC9)).all(2)
    assert blue.sum() > 300
    draw_figure(document, tmp_path / "again.png")
    assert (tmp_path / "again.png").read_bytes() == (tmp_path / "out.png").read_bytes()


def test_the_figure_knows_whose_gain_it_is() -> None:
    document = evaluation(3.0, 1.0, 5.0)
    document = document.model_copy(update={"arms": {"agm": arm(1.0), **document.arms}})
    assert compared_arm(document) == "regularized"
    other = Gain(value=9.0, ci95=(8.0, 10.0))
    for change, fault in (
        ({"arms": {}}, "no baseline"),
        ({"gain": Gains(full=other, mean=other, worst=other)}, "any arm"),
    ):
        with pytest.raises(SensorproofError, match=fault):
            compared_arm(document.model_copy(update=change))


@pytest.mark.parametrize(("text", "fault"), [("[]", "document"), ("{}", "data: missing"), ("{", "cannot be read")])
def test_a_figure_of_something_else_is_one_line(text: str, fault: str, tmp_path: Path) -> None:
    (tmp_path / "summary.json").write_text(text)
    done = CliRunner().invoke(app, ["figure", str(tmp_path / "summary.json"), str(tmp_path / "out.png")])
    assert isinstance(done.exception, SensorproofError)
    assert fault in str(done.exception)


def test_a_figure_is_a_png(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["figure", str(tmp_path / "summary.json"), str(tmp_path / "out.jpg")])
    assert isinstance(done.exception, UsageError)
    assert not (tmp_path / "out.jpg").exists()
