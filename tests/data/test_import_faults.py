"""What is wrong with a mapping or with its arrays is one line, and nothing is left of the attempt."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from helpers.array_import import Case
from helpers.batches import Edit, put


@pytest.mark.parametrize(
    ("edit", "fault"),
    [
        (put("colour", value=1), "colour: unknown key"),
        (put("sensors", "camera", "colour", value=1), "sensors.camera.colour: unknown key"),
        (put("sensors", "camera", "array", value=""), "sensors.camera.array"),
        (put("sensors", "camera", "layout", value="HWNC"), "sensors.camera.layout"),
        (put("sensors", "camera", "channels", value="3"), "sensors.camera.channels"),
        (put("sensors", "camera", "range", value=[3, 3]), "range must be"),
        (put("reference", value="radar"), "reference 'radar'"),
        (put("ignore_index", value=1), "ignore_index 1 is the id of a class"),
        (put("classes", value=[]), "classes"),
        (put("label", value={}), "label.array: missing"),
        (put("label", "values", value={"a": 1}), "label.values"),
        (put("label", "values", value={7: 300}), "label.values.7"),
        (put("times", value={}), "give either array or rate_hz"),
        (put("times", value={"array": "stamp", "rate_hz": 1}), "give either array or rate_hz"),
        (put("times", value={"rate_hz": 0}), "times.rate_hz"),
        (put("times", "unit", value="h"), "times.unit"),
        (put("frames", "rules", value=[{"match": "("}]), "match is not a regular expression"),
        (put("frames", "rules", value=[{"match": "x", "site": "{n}"}]), "site refers to ['n']"),
        (put("frames", "rules", value=[{"site": "x"}]), "frames.rules.0.match: missing"),
        (lambda m: [m["sensors"].pop(s) for s in ("thermal", "lidar")], "one sensor only"),
        (lambda m: m["sensors"].update({"split": m["sensors"]["lidar"]}), "clash with columns"),
    ],
)
def test_faults_of_the_mapping(case: Case, edit: Edit, fault: str) -> None:
    case.write()
    edit(case.mapping)
    line, code = case.refused()
    assert fault in line
    assert code == 2
    assert line.startswith(str(case.root / "mapping.yaml"))


def test_all_faults_of_the_mapping_come_at_once(case: Case) -> None:
    case.write()
    case.mapping["sensors"]["camera"] |= {"kind": "eye", "channels": 0, "x": 1}
    del case.mapping["classes"]
    line, _ = case.refused()
    assert all(k in line for k in ("classes: missing", "camera.kind", "camera.channels", "camera.x: unknown key"))


def array(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Edit:
    def edit(case: Case) -> None:
        case.arrays[name] = change(case.arrays[name])

    return edit


def with_value(where: Any, value: Any) -> Callable[[np.ndarray], np.ndarray]:
    def change(a: np.ndarray) -> np.ndarray:
        a = a.copy()
        a[where] = value
        return a

    return change


@pytest.mark.parametrize(
    ("edit", "fault", "code"),
    [
        (
            array("heat", lambda a: a[:-1]),
            "arrays differ in length (rgb 6, heat 5, range 6,",
            1,
        ),
        (array("name", lambda a: a[:0]), "arrays differ in length", 1),
        (array("rgb", lambda a: a[0, 0, 0, 0]), "arrays differ in length", 1),
        (lambda c: c.arrays.update({k: v[:0] for k, v in c.arrays.items()}), "has no frames", 1),
        (array("rgb", lambda a: a[..., 0]), "has 1 channels as NHWC, not 3", 1),
        (array("rgb", lambda a: a.transpose(0, 3, 1, 2)), "has 10 channels as NHWC, not 3", 1),
        (array("rgb", lambda a: a[:, 0, 0]), "has shape (6, 3)", 1),
        (array("rgb", lambda a: a[..., None]), "has shape (6, 8, 10, 3, 1)", 1),
        (array("rgb", lambda a: a[:, :0]), "has images of 0 x 10", 1),
        (array("rgb", lambda a: a.astype(complex)), "holds complex128", 1),
        (array("rgb", lambda a: a.astype(str)), "holds <U3", 1),
        (array("range", with_value((4, 1, 2, 3), np.nan)), "1 NaN or infinite values in frame 'site1-drive1-04'", 1),
        (array("range", with_value((4, 0), np.inf)), "80 NaN or infinite values in frame 'site1-drive1-04'", 1),
        (array("label", with_value((2, 3, 3), 9)), "frame 'site0-drive2-02' has labels [9] outside the classes", 1),
        (array("label", with_value((2, 3, 3), -1)), "has labels [-1] outside the classes", 1),
        (array("label", lambda a: a.astype(np.float32)), "label 'label' holds float32", 1),
        (array("label", lambda a: a[:, :-1]), "label 'label' is 7 x 10, the reference 8 x 10", 1),
        (array("label", lambda a: a[..., None, None]), "label 'label' has shape", 1),
        (array("name", with_value(5, "site0/drive0/00")), "both give 'site0-drive0-00'", 1),
        (array("name", with_value(5, "site0 drive0 00")), "both give 'site0-drive0-00'", 1),
        (array("name", with_value(5, "Site0/drive0/00")), "both give 'Site0-drive0-00'", 1),
        (array("name", with_value(5, "///")), "frame name '///' gives no frame_id", 1),
        (array("name", lambda a: np.array(["x" * 300 + n for n in a])), "gives no frame_id", 1),
        (array("name", with_value(5, "other")), "no rule of the mapping matches frame name 'other'", 1),
        (array("name", lambda a: a[:, None]), "names 'name' have shape (6, 1)", 1),
        (array("name", lambda a: np.arange(6.0)), "hold float64", 1),
        (array("name", lambda a: np.array([b"\xff%d" % k for k in range(6)])), "are not UTF-8", 1),
        (array("stamp", lambda a: np.where(a == a[2], np.nan, a)), "frame 'site0-drive2-02' has no time for camera", 1),
        (array("stamp", lambda a: a.astype(str)), "times 'stamp' have shape (6,) and hold <U21", 1),
        (array("name", lambda a: a.astype(object)), "array 'name' holds pickled objects", 1),
        (array("stamp", lambda a: a.astype("datetime64[ns]")), "array 'stamp' holds datetime64[ns]", 1),
        (lambda c: c.arrays.pop("heat"), "has no array 'heat'; it has label, name, range, rgb, stamp", 2),
    ],
)
@pytest.mark.parametrize("source", ["arrays.npz", "folder"])
def test_faults_of_the_arrays(case: Case, source: str, edit: Edit, fault: str, code: int) -> None:
    case.source = case.root / source
    edit(case)
    case.write()
    line, exit_code = case.refused()
    assert fault in line
    assert line.startswith(str(case.source))
    assert exit_code == code


@pytest.mark.parametrize(
    ("rules", "fault"),
    [
        ([{"match": ".*", "leave_out": True}], "no frame is left"),
        ([{"match": ".*0", "split": "dev"}, {"match": ".*"}], "gets the split 'dev'"),
        ([{"match": ".*0", "split": "train"}, {"match": ".*"}], "some frames get a split and some do not"),
        ([{"match": ".*", "sequence": ""}], "gets no sequence or site"),
        ([{"match": "nothing"}], "no rule of the mapping matches"),
    ],
)
def test_faults_of_the_rules(case: Case, rules: list[dict[str, Any]], fault: str) -> None:
    case.mapping["frames"]["rules"] = rules
    case.write()
    assert fault in case.refused()[0]
