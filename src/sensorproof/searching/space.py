"""The search space: what the trials may differ in, and the settings that a point of it stands for.

To search a further setting, add its range to `SpaceSettings`, a line to `dimensions` and one to `to_settings`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from sensorproof.documents.search import ArmSettings, Values
from sensorproof.objectives.build import REGULARIZED
from sensorproof.settings import Arm, RegularizerSettings, Scale, Settings, SpaceSettings
from sensorproof.settings.data import Standardization

_STRENGTH, _STANDARDIZE = "strength.", "standardize."
"""Prefixes of the dimensions `strength.<scale>` and `standardize.<sensor>`."""


@dataclass(frozen=True)
class Interval:
    """A dimension of numbers."""

    name: str
    low: float
    high: float
    log: bool = False

    def contains(self, value: float | str) -> bool:
        """Return whether a value can be tried."""
        return isinstance(value, int | float) and self.low <= value <= self.high


@dataclass(frozen=True)
class Options:
    """A dimension of names."""

    name: str
    choices: tuple[str, ...]

    def contains(self, value: float | str) -> bool:
        """Return whether a value can be tried."""
        return value in self.choices


Dimension = Interval | Options


class Suggest(Protocol):
    """Chooses the value of a dimension for one trial."""

    def __call__(self, dimension: Dimension) -> float | str:
        """Return a value that the dimension contains."""
        ...


def dimensions(space: SpaceSettings, scales: str | None = None) -> Iterator[Dimension]:
    """Yield what a trial chooses; what has one choice is left out.

    Args:
        space: the settings.
        scales: name of the set of scales that the trial has chosen, or None to leave out what depends on it.
    """
    for name, choices in (("scales", tuple(scale_sets(space))), *_names(space)):
        if len(choices) > 1:
            yield Options(name, tuple(choices))
    for scale in scale_sets(space)[scales] if scales else ():
        yield _interval(f"{_STRENGTH}{scale}", space.strength[scale], log=True)
    if space.modality_dropout:
        yield _interval("modality_dropout", space.modality_dropout)
    if space.class_balance:
        yield _interval("class_balance", space.class_balance)
    if space.learning_rate:
        yield _interval("learning_rate", space.learning_rate, log=True)


def _interval(name: str, ends: Sequence[float], *, log: bool = False) -> Interval:
    return Interval(name, ends[0], ends[1], log)


def _names(space: SpaceSettings) -> Iterator[tuple[str, tuple[str, ...]]]:
    yield "variant", tuple(space.variant)
    yield "estimator", tuple(space.estimator)
    for sensor, choices in sorted((space.standardize or {}).items()):
        yield f"{_STANDARDIZE}{sensor}", tuple(choices)


def scale_sets(space: SpaceSettings) -> dict[str, list[Scale]]:
    """Return the sets of scales by name, as `prediction+stage4`."""
    return {"+".join(scales): list(scales) for scales in space.scales}


def propose(space: SpaceSettings, suggest: Suggest) -> Values:
    """Choose a point of the space; the strengths are those of the scales that it has."""
    sets = scale_sets(space)
    chosen = str(suggest(Options("scales", tuple(sets)))) if len(sets) > 1 else next(iter(sets))
    values: Values = {"scales": chosen} if len(sets) > 1 else {}
    return values | {each.name: suggest(each) for each in dimensions(space, chosen) if each.name != "scales"}


def to_settings(values: Mapping[str, float | str], settings: Settings) -> ArmSettings:
    """Return the settings of a point; what it does not name is as params.yaml has it."""
    space, regularizer, train = settings.search.space, settings.regularizer, settings.train
    sets = scale_sets(space)
    scales = sets[str(values.get("scales", next(iter(sets))))]
    strengths = {scale: float(values[f"{_STRENGTH}{scale}"]) for scale in scales}
    strength = strengths[scales[0]]
    alike = len(set(strengths.values())) == 1
    document = regularizer.model_dump() | {
        "strength": strength,
        "scales": scales if alike else {scale: own / strength for scale, own in strengths.items()},
        "variant": values.get("variant", space.variant[0]),
        "estimator": values.get("estimator", space.estimator[0]),
        "modality_dropout": float(values.get("modality_dropout", regularizer.modality_dropout)),
    }
    return ArmSettings(
        regularizer=RegularizerSettings.model_validate(document),
        class_balance=float(values.get("class_balance", train.class_balance)),
        learning_rate=float(values.get("learning_rate", train.learning_rate)),
        standardize=_standardization(values, space),
    )


def _standardization(values: Mapping[str, float | str], space: SpaceSettings) -> dict[str, Standardization] | None:
    """Return how the sensors are standardised for which that is searched."""
    if space.standardize is None:
        return None
    chosen = {name: values.get(f"{_STANDARDIZE}{name}", own[0]) for name, own in space.standardize.items()}
    return {name: own for name, choices in space.standardize.items() for own in choices if own == chosen[name]}


def given_settings(settings: Settings) -> ArmSettings:
    """Return the settings of params.yaml, with which the search starts."""
    train, searched = settings.train, settings.search.space.standardize
    return ArmSettings(
        regularizer=settings.regularizer,
        class_balance=train.class_balance,
        learning_rate=train.learning_rate,
        standardize=None if searched is None else {name: settings.data.standardization_of(name) for name in searched},
    )


def to_values(chosen: ArmSettings, space: SpaceSettings) -> Values | None:
    """Return the point that stands for some settings, or None if the space does not contain them."""
    strengths = chosen.regularizer.strengths
    name = next((name for name, scales in scale_sets(space).items() if set(scales) == set(strengths)), None)
    if name is None:
        return None
    own = chosen.regularizer
    known: Values = {
        "scales": name,
        "variant": own.variant,
        "estimator": own.estimator,
        "modality_dropout": own.modality_dropout,
        "class_balance": chosen.class_balance,
        "learning_rate": chosen.learning_rate,
        **{f"{_STRENGTH}{scale}": value for scale, value in strengths.items()},
        **{f"{_STANDARDIZE}{sensor}": how for sensor, how in (chosen.standardize or {}).items()},
    }
    wanted = list(dimensions(space, name))
    fixed = all(known.get(name) in choices for name, choices in _names(space))
    if not fixed or not all(dimension.contains(known[dimension.name]) for dimension in wanted):
        return None
    return {dimension.name: known[dimension.name] for dimension in wanted}


def contains(space: SpaceSettings, values: Values) -> bool:
    """Return whether a point is of the space: exactly its dimensions, each with a value of its own."""
    sets = scale_sets(space)
    name = str(values.get("scales", next(iter(sets))))
    if name not in sets:
        return False
    wanted = {dimension.name: dimension for dimension in dimensions(space, name)}
    return wanted.keys() == values.keys() and all(wanted[key].contains(value) for key, value in values.items())


def searched_arm(settings: Settings) -> Arm:
    """Return the arm that the trials train: the candidate's, if it has the regulariser."""
    candidate = settings.promotion.candidate
    return candidate if candidate in REGULARIZED else "regularized"
