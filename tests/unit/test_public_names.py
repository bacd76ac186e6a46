"""The public names: loaded lazily, documented, and their examples run."""

import doctest
import inspect
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import sensorproof
from helpers.paths import ROOT
from helpers.project_artifacts import make_meta, write_model, write_raw

PUBLIC = (*sensorproof.__all__, "regularization.Term", "serving.Prediction", "auditing.Audit")


def resolve(name: str) -> object:
    """The object behind a public name."""
    if "." not in name:
        return getattr(sensorproof, name)
    module, name = {
        "regularization.Term": ("sensorproof.regularization.functional_entropy", "Term"),
        "serving.Prediction": ("sensorproof.serving.predictor", "Prediction"),
        "auditing.Audit": ("sensorproof.auditing", "Audit"),
    }[name]
    return getattr(__import__(module, fromlist=[name]), name)


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = "import sensorproof, sys; print(sorted({'torch', 'numpy', 'pandas', 'mlflow'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_is_listed_and_loads() -> None:
    assert set(sensorproof.__all__) <= set(dir(sensorproof))
    assert all(callable(resolve(name)) for name in PUBLIC)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = sensorproof.nothing


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_documented(name: str) -> None:
    value = resolve(name)
    assert inspect.getdoc(value)
    page = "".join((ROOT / f"docs/reference/{page}.md").read_text() for page in ("python", "regularization"))
    if name in sensorproof.__all__:
        assert f"sensorproof.{name}\n" in page


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the examples assume: a project with the batch `data/raw/yard` and a trained model in `model`."""
    root = tmp_path_factory.mktemp("project")
    write_raw(root / "data/raw/yard")
    write_model(root / "model", 3, make_meta())
    shutil.copy(ROOT / "params.yaml", root)
    return root


@pytest.mark.parametrize("name", sensorproof.__all__)
def test_the_examples_of_every_public_name_run(name: str, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    value = resolve(name)
    finder = doctest.DocTestFinder(recurse=True)
    examples = [test for test in finder.find(value, name, globs={}) if test.examples]
    assert examples, f"{name} has no example"
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    for test in examples:
        output: list[str] = []
        runner.run(test, out=output.append)
        assert not runner.failures, "".join(output)
        assert not any(doctest.SKIP in example.options for example in test.examples)
