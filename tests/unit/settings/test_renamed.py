"""A params.yaml of an earlier version is refused with a message that names each renamed key and its new name."""

import copy
from typing import Any

import pytest
import yaml

from helpers.paths import ROOT
from sensorproof.errors import SettingsError
from sensorproof.settings import parse_settings
from sensorproof.settings.renamed import KEYS

PRESENT: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text())


def of_before() -> dict[str, Any]:
    """The present file under the names of before."""
    document = copy.deepcopy(PRESENT)
    for old, new in KEYS.items():
        *sections, key = new.split(".")
        part = document
        for section in sections:
            part = part[section]
        former = document[sections[0]] if len(sections) > 1 else part  # a key may have moved into a part of its section
        former[old.split(".")[-1]] = part.pop(key)
    names = {"regularized_dropout": "default"}
    document["train"]["arms"] = [names.get(arm, arm) for arm in document["train"]["arms"]]
    document["register"]["candidate"] = "default"
    document["compare"]["strengths"] = {names.get(k, k): v for k, v in document["compare"]["strengths"].items()}
    return document


def test_every_old_name_is_named_with_its_new_one() -> None:
    with pytest.raises(SettingsError) as caught:
        parse_settings(of_before())
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("params.yaml: uses old names: ")
    assert [old for old, new in KEYS.items() if f"{old} is now {new}" not in message] == []
    for place in ("train.arms", "register.candidate", "compare.strengths"):
        assert f"{place}: default is now regularized_dropout" in message


@pytest.mark.parametrize("old", KEYS)
def test_a_single_old_key_is_found(old: str) -> None:
    document = copy.deepcopy(PRESENT)
    *sections, key = old.split(".")
    part = document
    for section in sections:
        part = part[section]
    part[key] = 1
    with pytest.raises(SettingsError, match=f"uses old names: {old} is now {KEYS[old]}; rename them"):
        parse_settings(document)


def test_the_present_file_has_no_old_name() -> None:
    parse_settings(PRESENT)


def test_an_old_key_in_an_old_section_is_found_at_once() -> None:
    """So that one message names all, whichever version the file is of."""
    document = copy.deepcopy(PRESENT)
    document["register"] = document.pop("promotion") | {"min_gain_mean": 0.0}
    with pytest.raises(SettingsError, match=r"promotion\.min_gain_mean is now promotion\.min_gain_baseline"):
        parse_settings(document)
