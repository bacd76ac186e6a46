"""Rules give frames their roles by their names."""

from helpers.paths import ROOT
from sensorproof.data.importers.mapping import Rule, read_mapping, role_of


def test_the_first_rule_that_matches_the_whole_name_decides() -> None:
    rules = [Rule(match="a", site="first"), Rule(match="a.*", site="second", split="val"), Rule(match="(?P<site>b)?c")]
    assert [getattr(role_of(name, rules), "site", None) for name in ("a", "ab", "ba")] == ["first", "second", None]
    unnamed = role_of("c", rules)
    assert unnamed is not None
    assert (unnamed.site, role_of("c", [])) != ("b", None)


def test_the_example_for_the_stereo_potholes_reads_its_names() -> None:
    """The split is by data sets, and the twelve frames that the authors leave out of evaluation are left out."""
    mapping = read_mapping(ROOT / "examples/stereo_potholes/mapping.yaml")
    counts = {1: 22, 2: 40, 3: 5}
    names = [f"dataset{d}/{k:02d}" for d, count in counts.items() for k in range(1, count + 1)]
    roles = {name: role_of(name, mapping.frames.rules) for name in names}
    assert all(roles.values())
    left_out = {name for name, role in roles.items() if role and role.leave_out}
    assert left_out == {f"dataset2/{k:02d}" for k in (6, 7, 8, 13, 14, 15, 21, 22, 23, 37, 38, 39)}
    split = {name: role.split for name, role in roles.items() if role and not role.leave_out}
    assert {name[:8] for name, part in split.items() if part == "test"} == {"dataset2"}
    assert not {name for name, part in split.items() if part != "test" and name.startswith("dataset2")}
    sequences = {(role.sequence, role.split) for role in roles.values() if role and not role.leave_out}
    assert len(sequences) == len({sequence for sequence, _ in sequences}) == 4
    assert [list(split.values()).count(part) for part in ("train", "val", "test")] == [22, 5, 28]


def test_the_example_for_ombria_keeps_blocks_and_years_apart() -> None:
    """The floods of 2021 are for testing only, no block is in two splits, and some of validation are far away."""
    mapping = read_mapping(ROOT / "examples/ombria/mapping.yaml")
    names = [f"early/block{block:02d}/{tile:04d}" for block in range(27) for tile in (1, 2)]
    names += [f"2021/{event}/0001" for event in ("france", "guyana", "albania", "timor")]
    roles = [role_of(name, mapping.frames.rules) for name in names]
    splits = {(role.site, role.split) for role in roles if role}
    assert len(splits) == len({site for site, _ in splits}) == 31
    assert [sum(split == part for _, split in splits) for part in ("train", "val", "test")] == [21, 6, 4]
    assert {site for site, split in splits if split == "test"} == {"france", "guyana", "albania", "timor"}
    validation = {(role.site, role.condition) for role in roles if role and role.split == "val"}
    far = {site for site, condition in validation if condition == "early-far"}
    assert far == {"block00", "block13", "block14", "block15"}
    assert {site for site, condition in validation if condition == "early"} == {"block07", "block18"}
