"""Files are written whole or not at all, even under SIGKILL; paths stay inside; YAML is read with care."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorproof import files
from sensorproof.errors import SensorproofError
from sensorproof.files import (
    atomic_file,
    atomic_folder,
    confined,
    dump_yaml,
    parse_yaml,
    read_json,
    write_json,
)

HALF_A_FILE = """
import sys, time
from pathlib import Path
from sensorproof.files import atomic_file
with atomic_file(Path(sys.argv[1])) as temporary:
    temporary.write_text("half of the n")
    print("ready", flush=True)
    time.sleep(60)
"""
HALF_A_FOLDER = """
import sys, time
from pathlib import Path
from sensorproof.files import atomic_folder
with atomic_folder(Path(sys.argv[1])) as folder:
    (folder / "a.txt").write_text("new")
    print("ready", flush=True)
    time.sleep(60)
"""
REPLACE_FOR_EVER = """
import sys
from pathlib import Path
from sensorproof.files import atomic_folder, write_json
root, k = Path(sys.argv[1]), 0
while True:
    k += 1
    with atomic_folder(root / "folder") as folder:
        for name in ("a", "b", "c"):
            (folder / name).write_text(str(k))
    write_json(root / "file.json", [k] * 2000)
    if k == 3:
        print("ready", flush=True)
"""


def kill_when_ready(program: str, target: Path, after: float = 0.0) -> None:
    """Run a program until it says ready, and kill it `after` seconds later."""
    process = subprocess.Popen([sys.executable, "-c", program, str(target)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    time.sleep(after)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    process.stdout.close()


def shown(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))


def test_a_killed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.write_text("old")
    kill_when_ready(HALF_A_FILE, path)
    assert path.read_text() == "old"
    assert shown(tmp_path) == ["state.json"]


def test_a_killed_write_leaves_the_old_folder(tmp_path: Path) -> None:
    path = tmp_path / "batch"
    path.mkdir()
    (path / "a.txt").write_text("old")
    kill_when_ready(HALF_A_FOLDER, path)
    assert (path / "a.txt").read_text() == "old"
    assert shown(tmp_path) == ["batch"]


@pytest.mark.parametrize("after", [0.0, 0.011, 0.023, 0.037])
def test_killed_at_any_time_all_is_of_one_version(tmp_path: Path, after: float) -> None:
    kill_when_ready(REPLACE_FOR_EVER, tmp_path, after)
    assert len({(tmp_path / "folder" / name).read_text() for name in "abc"}) == 1
    numbers = json.loads((tmp_path / "file.json").read_text())
    assert len(numbers) == 2000
    assert len(set(numbers)) == 1


def test_an_error_leaves_the_old_and_no_rest(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "x").write_text("old")

    def fail_after(write: Callable[[Path], object], manager: AbstractContextManager[Path]) -> None:
        with manager as temporary:
            write(temporary)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_after(lambda file: file.write_text("new"), atomic_file(tmp_path / "a"))
    with pytest.raises(ZeroDivisionError):
        fail_after(lambda folder: (folder / "x").write_text("new"), atomic_folder(tmp_path / "b"))
    assert (tmp_path / "a").read_text() == (tmp_path / "b" / "x").read_text() == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b"]


@pytest.mark.parametrize("swap", [True, False])
def test_a_folder_is_replaced_and_nothing_stays_of_the_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, swap: bool
) -> None:
    if not swap:
        monkeypatch.setattr(files.sys, "platform", "elsewhere")
    for text in ("old", "new"):
        with atomic_folder(tmp_path / "deep" / "folder") as folder:
            (folder / text).write_text(text)
    assert [p.name for p in (tmp_path / "deep" / "folder").iterdir()] == ["new"]
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["folder"]


@pytest.mark.skipif(sys.platform != "linux", reason="renameat2 is of Linux; elsewhere the folder is gone for a moment")
def test_a_reader_never_finds_the_folder_missing(tmp_path: Path) -> None:
    path, missing, done = tmp_path / "folder", [], threading.Event()

    def look() -> None:
        while not done.is_set():
            if not os.path.lexists(path):
                missing.append(path)

    with atomic_folder(path):
        pass
    reader = threading.Thread(target=look)
    reader.start()
    for _ in range(300):
        with atomic_folder(path):
            pass
    done.set()
    reader.join()
    assert missing == []


def test_others_may_read_what_is_written(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {})
    with atomic_folder(tmp_path / "b"):
        pass
    assert (tmp_path / "a.json").stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "b").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("value", [float("nan"), [float("inf")]])
def test_json_has_no_nan(tmp_path: Path, value: object) -> None:
    with pytest.raises(ValueError):
        write_json(tmp_path / "a.json", value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", [None, "{", "\xff"])
def test_broken_json_is_one_line(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "a.json"
    if text is not None:
        path.write_bytes(text.encode("latin-1"))
    with pytest.raises(SensorproofError, match=r"a\.json: (is missing|cannot be read)[^\n]*; "):
        read_json(path)


@pytest.mark.parametrize("relative", ["", "../x", "/etc/passwd", "a/../../x", "a\0b", "x" * 5000, "out/x", "loop/x"])
def test_paths_that_leave_are_refused(tmp_path: Path, relative: str) -> None:
    root = tmp_path / "root"
    (root / "a").mkdir(parents=True)
    (root / "out").symlink_to(tmp_path)
    (root / "loop").symlink_to("loop")
    with pytest.raises(SensorproofError) as caught:
        confined(root, relative)
    assert "\n" not in str(caught.value)


def test_a_link_that_stays_inside_is_followed(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").symlink_to("a")
    (tmp_path / "whole").symlink_to(tmp_path)
    assert confined(tmp_path / "whole", "b/x") == tmp_path / "whole" / "b" / "x"


@given(st.text(st.sampled_from("ab./\\\0~é "), max_size=12))
def test_a_confined_path_is_inside(relative: str) -> None:
    root = Path("/tmp/some/root")
    try:
        path = confined(root, relative)
    except SensorproofError:
        return
    assert Path(os.path.normpath(path)).is_relative_to(root)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a: 1\nb: 2\na: 3", "key 'a' repeats"),
        ("x:\n  a: 1\n  a: 1", "key 'a' repeats"),
        ("1: x\n'1': y", "key '1' repeats"),
        ("x: 1\ny: [1", "expected ',' or '\\]', but got '<stream end>' in line 2"),
        ("a: b: c", "mapping values are not allowed here in line 1"),
        ("--- 1\n--- 2", "expected a single document"),
        ("&a [*a]", "the alias in line 1 contains itself"),
        ("- !!python/object/apply:os.system [ls]", "tag '.*python/object/apply:os.system' in line 1 is not allowed"),
        ("a: !!set {1, 2}", "tag '.*set' in line 1 is not allowed"),
        ("a: !!binary aGk=", "tag '.*binary' in line 1 is not allowed"),
        ("a: !sensor x", "tag '!sensor' in line 1 is not allowed"),
        ("[" * 1100, "it is nested too deeply"),
        ("a: !!bool maybe", "a value does not fit its tag .*maybe"),
        ("a: !!timestamp soon", 'failed to construct timestamp from "soon" in line 1'),
        ("a: 2024-13-01", "month must be in 1..12"),
        ("\x01", "special characters are not allowed"),
        ("a: 1\n? [1]\n: 2", "the key in line 2 is not text"),
    ],
)
def test_yaml_that_is_refused(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        parse_yaml(text)


def test_aliases_may_be_used_but_do_not_unfold_without_end() -> None:
    assert parse_yaml("a: &x {k: [1, 2]}\nb: *x\nc: {<<: *x, k: 3}") == {
        "a": {"k": [1, 2]},
        "b": {"k": [1, 2]},
        "c": {"k": 3},
    }
    lines = ["x0: &x0 [0, 0, 0, 0, 0, 0, 0, 0, 0]"]
    lines += [f"x{k}: &x{k} [{', '.join([f'*x{k - 1}'] * 9)}]" for k in range(1, 9)]
    with pytest.raises(ValueError, match="more than"):
        parse_yaml("\n".join(lines))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[1e-3, 1e-5, -2E5, .5e1, -.5e-1, 1.e2, 1.5, 1.0e-05]", [0.001, 1e-5, -2e5, 5.0, -0.05, 100.0, 1.5, 1e-5]),
        ("['1e-3', '.5e1', e5, 1e, 2e5x]", ["1e-3", ".5e1", "e5", "1e", "2e5x"]),
        ("[0, -7, 1_000, 0x1F, 0o17]", [0, -7, 1000, 31, 15]),
        ("[true, False, TRUE]", [True, False, True]),
        ("[off, on, yes, No, y, 12:30]", ["off", "on", "yes", "No", "y", "12:30"]),
        ("[null, ~, Null]", [None, None, None]),
        ("captured: 2025-02-24", {"captured": date(2025, 2, 24)}),
        ("captured: '2025-02-24'", {"captured": "2025-02-24"}),
        ("pretrained:\nseeds: [0, 1]", {"pretrained": None, "seeds": [0, 1]}),
        ("", None),
    ],
)
def test_values_are_those_of_yaml_1_2(text: str, expected: object) -> None:
    """Also what DVC, which reads the same params.yaml with the same library, makes of them."""
    value = parse_yaml(text)
    assert value == expected
    assert repr(value) == repr(expected)  # 1 is not 1.0, nor True


@pytest.mark.parametrize(
    "name", ["0e0", "1E5", ".5e1", "08", "no", "true", "null", "0x1F", "2025-01-31", "1_000", "12:30", "~", "é: ü", ""]
)
def test_names_that_look_like_other_things_survive_yaml(name: str) -> None:
    document = {"reference": name, "sensors": {name: {"range": [0.0, 1e6]}}}
    assert parse_yaml(dump_yaml(document)) == document


def test_yaml_keeps_the_order_of_keys_and_quotes_what_is_not_text() -> None:
    document = {"z": [1.0, 1e-7, None, True], "a": {"captured": "2025-02-24", "text": "two words"}}
    assert dump_yaml(document) == (
        "z:\n- 1.0\n- 1e-07\n- null\n- true\na:\n  captured: '2025-02-24'\n  text: two words\n"
    )
