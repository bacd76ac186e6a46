"""The documentation is complete, its examples run, and the README is true."""

import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import typer.main
import yaml
from torch import Tensor, nn

import sensorproof
from helpers.paths import ROOT
from helpers.project_artifacts import command
from sensorproof.cli import app
from sensorproof.documents import Summary
from sensorproof.regularization import FunctionalEntropy

DOCS = ROOT / "docs"
MAPPINGS = {"train.photometric", "compare.strengths", "search.space.strength", "validation.time.pairs"}
"""Keys whose values are keyed by arm or sensor; `scales` may be one as well."""


def settings_keys(section: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in section.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and name not in MAPPINGS:
            yield from settings_keys(value, f"{name}.")
        else:
            yield name


def options(command: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield each command with each of its options."""
    for name, part in getattr(command, "commands", {}).items():
        yield from options(part, f"{path} {name}".strip())
    if not hasattr(command, "commands"):
        yield path, path.split()[-1]
        for parameter in command.params:
            yield from ((path, name) for name in parameter.opts if name.startswith("--"))


def test_every_setting_is_explained() -> None:
    page = (DOCS / "reference/params.md").read_text(encoding="utf-8")
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    assert [key for key in settings_keys(params) if f"`{key}`" not in page] == []


def test_every_command_and_option_is_listed() -> None:
    page = (DOCS / "reference/cli.md").read_text(encoding="utf-8")
    assert [pair for pair in options(typer.main.get_command(app)) if pair[1] not in page] == []


def test_the_glossary_is_sorted() -> None:
    terms = re.findall(r"^\| \*\*(.+?)\*\* \|", (DOCS / "glossary.md").read_text(encoding="utf-8"), re.MULTILINE)
    keys = [term.strip("`").lower().replace("-", " ") for term in terms]
    assert keys == sorted(set(keys))
    assert len(keys) > 50


def blocks(page: str) -> list[str]:
    text = (DOCS / page).read_text(encoding="utf-8")
    return [textwrap.dedent(b) for b in re.findall(r"^ *```python\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)]


@pytest.mark.parametrize("name", ["Branches", "Concatenation", "Shared"])
def test_the_examples_for_models_and_loops_run(name: str) -> None:
    scope: dict[str, Any] = {"torch": torch, "nn": nn, "Tensor": Tensor, "FunctionalEntropy": FunctionalEntropy}
    for block in blocks("how-to/own-model.md"):
        exec(block, scope)
    model = scope[name]({"rgb": 3, "lidar": 1}, 3)
    target = torch.randint(0, 3, (2, 16, 16))
    inputs = {"rgb": torch.randn(2, 3, 16, 16), "lidar": torch.randn(2, 1, 16, 16)}
    scope |= {"model": model, "inputs": inputs, "target": target, "loader": [(inputs, target)] * 2}
    scope |= {"criterion": nn.CrossEntropyLoss(), "optimizer": torch.optim.Adam(model.parameters())}
    missing = "zero" if name == "Concatenation" else "drop"
    for block in blocks("how-to/own-loop.md"):
        if "encode" not in block or name == "Shared":
            exec(block.replace("strength=0.1", f"strength=0.1, missing={missing!r}"), scope)
    assert bool(torch.isfinite(scope["term"].value))


def test_the_example_of_an_audit_prints_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    page = (DOCS / "how-to/audit.md").read_text(encoding="utf-8")
    (tmp_path / "rules.py").write_text(blocks("how-to/audit.md")[0])
    for line in re.findall(r"^    sensorproof ((?:simulate|audit rules).*)", page, re.MULTILINE):
        capsys.readouterr()
        assert command(*line.split()) == 0
    assert capsys.readouterr().out == page.split("```text\n")[1].split("```")[0]


README = (ROOT / "README.md").read_text(encoding="utf-8")
FIGURES = ("full", "mean", "worst")


def spoken(value: float) -> str:
    """A signed number as the README writes it, with a true minus."""
    return f"{value:+.1f}".replace("-", "−")


def test_the_readme_has_the_figures_of_the_embedded_run() -> None:
    """docs/figures/embedded.json is the summary.json of the run that the README speaks of."""
    summary = Summary.read(DOCS / "figures/embedded.json")
    names = {
        "baseline": "baseline",
        "regularized": "regularised",
        "regularized_dropout": "regularised + dropout, the candidate",
    }
    rows = [
        f"| {title} | "
        + " | ".join(f"{s.mean:.1f} ± {s.std:.1f}" for s in map(summary.arms[arm].figure, FIGURES))
        + " |"
        for arm, title in names.items()
    ]
    gains = [summary.gain.figure(name) for name in FIGURES]
    cells = [f"{spoken(g.value)} ({spoken(g.ci95[0] or 0)} to {spoken(g.ci95[1] or 0)})" for g in gains]
    rows.append("| its gain, 95 % interval | " + " | ".join(cells) + " |")
    table = README.split("<!-- embedded -->")[1].split("<!-- /embedded -->")[0]
    assert table.strip().splitlines()[2:] == rows
    first_run = (DOCS / "guide/first-run.md").read_text(encoding="utf-8")
    assert all(row in first_run for row in rows[:-1])
    assert all(cell in first_run for cell in cells)
    assert summary.promotion.decision == "promoted"


def test_the_readme_has_the_potholes_figures_of_the_results_page() -> None:
    results = (DOCS / "explanation/results.md").read_text(encoding="utf-8").split("## Stereo potholes")[1]
    for arm, title in {
        "baseline": "baseline",
        "single_modality": "single-modality losses",
        "regularized_dropout": "regularised + dropout",
    }.items():
        row = next(line for line in results.splitlines() if line.startswith(f"| {arm} |"))
        assert f"| {title} | " + " | ".join(cell.strip() for cell in row.split("|")[3:6]) + " |" in README


def test_every_command_of_the_readme_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"make ([a-z-]+)", README)
    assert len(targets) > 3
    assert [name for name in targets if not re.search(rf"^{name}:", makefile, re.MULTILINE)] == []
    commands = {path.split()[0] for path, _ in options(typer.main.get_command(app))}
    used = re.findall(r"(?:^ {4}|`)sensorproof ([a-z]+)", README, re.MULTILINE)
    assert len(used) > 3
    assert set(used) <= commands
    files = re.findall(r"(?:\]\(|python |--mapping |configure )([\w./-]+\.\w+)", README)
    assert len(files) > 15
    assert [name for name in files if not (ROOT / name).exists() and not name.startswith("artifacts/")] == []


def test_the_version_has_one_value() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert (
        re.search(r"^## \[(\d[^\]]*)\]", changelog, re.MULTILINE)[1] == citation["version"] == sensorproof.__version__
    )
