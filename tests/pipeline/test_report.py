"""The page says what the evaluation says, shows what the models predict, and stands alone."""

import re
import runpy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from helpers.evaluations import PROMOTION
from helpers.page_reader import Reader
from helpers.paths import ROOT
from helpers.report_fixtures import OPTIONS, VERDICT, make_data, make_evaluation, make_page, make_runs, make_verdict
from helpers.search import make_search
from sensorproof.artifacts import SEARCH
from sensorproof.documents import Evaluation, SearchResult
from sensorproof.errors import SensorproofError
from sensorproof.files import read_json, write_json
from sensorproof.reporting.data_tables import make_tables
from sensorproof.reporting.folder import write_report_folder
from sensorproof.reporting.formatting import points, signed
from sensorproof.reporting.html_report import render_report


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Evaluation, Path]:
    root = tmp_path_factory.mktemp("report")
    page, evaluation = make_page(root)
    return page, evaluation, root


def test_the_page_stands_alone(material: tuple[str, Evaluation, Path]) -> None:
    page = material[0]
    reader = Reader(page)
    assert {address.partition(",")[0] for address in reader.addresses} == {"data:image/png;base64", "data:", "#pilot"}
    assert 'id="pilot"' in page
    assert "script" not in reader.tags
    assert not re.search(r"@import|url\(|https?:", page)


def test_scores_are_those_of_the_evaluation(material: tuple[str, Evaluation, Path]) -> None:
    page, evaluation, _ = material
    reader = Reader(page)
    baseline, ours = evaluation.arms["baseline"], evaluation.arms["regularized"]
    for label, name in {
        "all sensors": "camera+depth+thermal",
        "without depth": "camera+thermal",
        "only depth": "depth",
    }.items():
        cells = reader.row(label)
        low, high = baseline.subsets[name], ours.subsets[name]
        assert cells[4:7] == [
            f"{points(low.mean)} ±{points(low.std)}",
            f"{points(high.mean)} ±{points(high.std)}",
            signed(high.mean - low.mean),
        ]
    figures = reader.row("regularised")
    for cell, figure in zip(figures[1:], ("full", "mean", "worst", "spread"), strict=True):
        change = signed(ours.figure(figure).mean - baseline.figure(figure).mean)
        assert cell == f"{points(ours.figure(figure).mean)} ±{points(ours.figure(figure).std)}{change}"
    subsets = [row[0] for row in reader.rows if row[0] == "all sensors" or re.match(r"without|only|.+ \+ ", row[0])]
    assert len(set(subsets)) == len(subsets) == 7
    gain = evaluation.gain.mean
    assert f"{signed(gain.value)} {signed(gain.ci95[0])} to {signed(gain.ci95[1])}" in reader.words


def test_class_scores_are_those_of_the_evaluation(material: tuple[str, Evaluation, Path]) -> None:
    page, evaluation, _ = material
    reader = Reader(page)
    row = reader.row("vehicle")
    expected = [
        points(evaluation.arms[arm].per_class[subset]["vehicle"])
        for subset in ("camera+depth+thermal", "depth+thermal", "camera+thermal", "camera+depth")
        for arm in ("baseline", "regularized")
    ]
    assert row[2:] == expected
    support = evaluation.arms["baseline"].support
    assert row[1] == f"{100 * support['vehicle'] / sum(support.values()):.1f} %"
    assert support["unicorn"] == 0
    assert reader.row("unicorn")[1:] == ["0", "not in the test split, so it is left out of every score"]


def test_what_was_validated_and_searched_is_shown(material: tuple[str, Evaluation, Path]) -> None:
    words = Reader(material[0]).words
    assert "in quarantine 2" in words
    assert "batch-1 depth aligned 0.3 0.3 px at the corners" in words
    assert "batch-1 thermal unmeasurable – no reliable tile" in words
    assert "3 trials" in words
    assert "strength 0.123" in words


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Reader, Evaluation]:
    page, evaluation = make_page(tmp_path_factory.mktemp("measured"), measured=True)
    return Reader(page), evaluation


def test_what_was_measured_is_shown(measured: tuple[Reader, Evaluation]) -> None:
    reader, _ = measured
    assert reader.row("depth")[2:5] == ["8.0", "9.0", "+1.0 0.0 to +2.0"]
    (missing,) = (row for row in reader.rows if row[0] == "without depth" and "%" in row[1])
    assert missing == ["without depth", "10.0 % ±50.0+10.0", "9.0 % ±50.0+10.0"]
    assert reader.row("worst") == ["worst", "10.0 ±0.5", "11.0 ±0.5", "+1.0"]
    assert reader.row("(none)") == ["(none)", "1", "100"]
    assert ["霧", "2", "–", "–", "too few frames"] in reader.rows
    for words in ("frozen for a while", "new one", "In the baseline, thermal adds 18.0 points and camera −2.0;"):
        assert words in reader.words
    assert "60.0 % 40.0 % to 90.0 %" in reader.words
    item = reader.row("Calibration error with one sensor missing")
    assert item[1:4] == ["go", "9.0 % (without camera)", "at most 10.0 %"]


def test_what_was_measured_is_in_the_tables(measured: tuple[Reader, Evaluation], tmp_path: Path) -> None:
    tables = make_tables(measured[1], VERDICT, [], PROMOTION)
    write_report_folder(tmp_path / "report", measured[1], tables, PROMOTION)
    assert {"contributions", "calibration", "degradations", "protocols", "groups", "silent"} <= set(tables)
    degraded = pd.read_csv(tmp_path / "report/degradations.csv")
    assert len(degraded) == 2 * 3 * 3 * 3
    names = {"subsets", "silent", "degradations", "contributions", "calibration"}
    assert {path.stem for path in (tmp_path / "report").glob("*.png")} == names
    assert {path.stem for path in (tmp_path / "report").glob("*.svg")} == names
    first = (tmp_path / "report/degradations.svg").read_bytes()
    write_report_folder(tmp_path / "report", measured[1], tables, PROMOTION)
    assert (tmp_path / "report/degradations.svg").read_bytes() == first


def test_a_verdict_without_pairs_is_shown_without_a_table(tmp_path: Path) -> None:
    words = Reader(make_page(tmp_path, verdict=make_verdict({}), seeds=(0,))[0]).words
    assert "in quarantine 2" in words
    assert "Alignment" not in words


def test_one_seed_has_no_interval_and_no_deviation(tmp_path: Path) -> None:
    reader = Reader(make_page(tmp_path, seeds=(4,))[0])
    assert "±" not in reader.words
    assert "95" not in reader.words
    assert "no interval" in reader.words
    assert "deserves promotion" not in reader.words
    assert "seed 4" in reader.words


def test_one_arm_alone_has_nothing_to_compare(tmp_path: Path) -> None:
    page, evaluation = make_page(tmp_path, arms=("regularized",))
    reader = Reader(page)
    assert "There is nothing to compare" in reader.words
    assert "Only regularised was trained; a comparison also needs baseline." in reader.words
    assert "Gain of" not in reader.words
    assert reader.row("regularised")[1].startswith(points(evaluation.arms["regularized"].full.mean))


def test_one_sensor_has_one_subset(tmp_path: Path) -> None:
    data = make_data(tmp_path / "prepared", {"camera": ("camera", 3)})
    reader = Reader(make_page(tmp_path, data=data)[0])
    assert "With its only sensor it scores" in reader.words
    assert "without camera" not in reader.words
    assert len(reader.row("only camera")) == 6


def test_no_example_is_no_section(tmp_path: Path) -> None:
    reader = Reader(make_page(tmp_path, options=replace(OPTIONS, examples=0))[0])
    assert "What the models see" not in reader.words
    assert "img" not in reader.tags


def test_many_arms_are_all_scored_and_two_are_shown_class_by_class(tmp_path: Path) -> None:
    arms = ("baseline", "regularized_dropout", "regularized", "modality_dropout", "ogm_ge", "agm")
    data = make_data(tmp_path / "prepared", {"a": ("other", 1), "b": ("other", 2)})
    reader = Reader(make_page(tmp_path, arms=arms, seeds=(0,), data=data)[0])
    assert len(reader.row("only a")) == 1 + 2 + 11 + 1
    assert "Of 6 arms, baseline and regularised are shown." in reader.words
    assert len(reader.row("road")) == 2 + 3 * 2
    assert "OGM-GE" in reader.words


def test_names_are_shown_as_they_are(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>&\"'"
    data = make_data(
        tmp_path / "prepared", classes=(evil, "b<i>", "c&amp;", "d"), frame_id=evil, batch=evil, site="<s>"
    )
    page, _ = make_page(tmp_path, data=data, verdict=make_verdict({evil: ("aligned", evil, 0.1)}, evil))
    reader = Reader(page)
    assert not {"script", "s"} & set(reader.tags)
    assert reader.words.count("<script>alert(1)</script>") >= 6
    assert "c&amp;" in reader.words


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda run: (run / "history.csv").unlink(), "history.csv"),
        (lambda run: (run / "history.csv").write_text("a,b\n1,2\n"), "history.csv"),
        (lambda run: (run / "model/model.safetensors").write_bytes(b"no"), "model.safetensors"),
    ],
)
def test_a_run_that_is_not_whole_is_one_line(change: Callable[[Path], object], fault: str, tmp_path: Path) -> None:
    data = make_data(tmp_path / "prepared")
    runs = make_runs(data, tmp_path / "train", ("baseline", "regularized"), (0,))
    evaluation = make_evaluation(data, runs)
    change(runs["regularized"][0])
    with pytest.raises(SensorproofError, match=fault) as raised:
        render_report(evaluation, VERDICT, data, runs, OPTIONS)
    assert "\n" not in str(raised.value)


def test_the_stage_writes_the_page(material: tuple[str, Evaluation, Path], tmp_path: Path, monkeypatch, capsys) -> None:
    page, evaluation, root = material
    (tmp_path / "artifacts/validation").mkdir(parents=True)
    params = (ROOT / "params.yaml").read_text().replace("examples: 4", "examples: 2")
    params = params.replace("min_group_frames: 5", f"min_group_frames: {PROMOTION.min_group_frames}")
    (tmp_path / "params.yaml").write_text(params.replace("candidate: regularized_dropout", "candidate: regularized"))
    for name in ("prepared", "train"):
        (tmp_path / "artifacts" / name).symlink_to(root / name)
    (tmp_path / "artifacts/validation/quarantined.csv").write_text("batch,frame_id\n")
    VERDICT.write(tmp_path / "artifacts/validation/verdict.json")
    monkeypatch.chdir(tmp_path)
    stage = str(ROOT / "pipelines/stages/report.py")
    SearchResult(trials=(), best=make_search().best).write(tmp_path / SEARCH / "trials.json")
    whole = evaluation.to_json()
    for document, fault in (
        (None, "is missing"),
        ({}, "evaluation.json: data: missing"),
        ({**whole, "arms": {"baseline": {}}}, "arms.baseline.seeds: missing"),
        ({**whole, "arms": {}}, "no arm"),
        ({**whole, "extra": 1}, "extra: unknown key"),
    ):
        if document is not None:
            write_json(tmp_path / "artifacts/evaluation.json", document)
        with pytest.raises(SystemExit) as stopped:
            runpy.run_path(stage, run_name="__main__")
        assert stopped.value.code == 1
        message = capsys.readouterr().err
        assert fault in message
        assert len(message.splitlines()) == 1
        assert not (tmp_path / "artifacts/report.html").exists()
    evaluation.write(tmp_path / "artifacts/evaluation.json")
    runpy.run_path(stage, run_name="__main__")
    assert (tmp_path / "artifacts/report.html").read_text() == page
    check_folder(tmp_path / "artifacts/report", evaluation)
    make_search().write(tmp_path / SEARCH / "trials.json")
    runpy.run_path(stage, run_name="__main__")
    assert "Trial 1 of 6 was chosen" in (tmp_path / "artifacts/report.html").read_text()


def check_folder(folder: Path, evaluation: Evaluation) -> None:
    """Every table is there as CSV and in the JSON, every picture as PNG and SVG, and the figures are those scored."""
    tables = read_json(folder / "tables.json")
    assert {path.stem for path in folder.glob("*.csv")} == set(tables)
    assert set(tables) == {"scores", "gains", "subsets", "classes", "gates", "alignment", "checklist"}
    subsets = pd.read_csv(folder / "subsets.csv").set_index(["arm", "subset"])
    for arm, summary in evaluation.arms.items():
        for subset, score in summary.subsets.items():
            assert subsets.loc[(arm, subset), "mean"] == pytest.approx(score.mean)
    metrics = read_json(folder / "metrics.json")
    assert metrics["gain"]["mean"]["value"] == pytest.approx(evaluation.gain.mean.value)
    assert metrics["arms"]["baseline"]["worst"] == pytest.approx(evaluation.arms["baseline"].worst.mean)
    with Image.open(folder / "subsets.png") as picture:
        assert picture.size[0] > 1000
    assert "without depth" in (folder / "subsets.svg").read_text()
