"""Names that settings had in earlier versions: an old params.yaml is refused with a message that names each new one."""

from collections.abc import Iterator
from typing import Any

ARMS = {"default": "regularized_dropout"}
"""Old name of an arm -> its name."""
KEYS = {
    "promotion.min_gain_mean": "promotion.min_gain_baseline",
    "promotion.max_loss_champion": "promotion.min_gain_champion",
    "register": "promotion",
    "validate": "validation",
    "train.warmup": "train.warmup_fraction",
    "train.flip": "train.horizontal_flip",
    "regularizer.form": "regularizer.variant",
    "regularizer.fraction": "regularizer.batch_fraction",
    "regularizer.every": "regularizer.every_n_steps",
    "regularizer.weigh": "regularizer.relevance_weighting",
    "search.strength": "search.space.strength",
    "search.scales": "search.space.scales",
    "compare.sets": "compare.datasets",
    "compare.tuning_share": "compare.tuning_fraction",
    "train.mixed_precision": "train.precision",
}
"""Old dotted key -> its name."""


def find_renamed(document: Any) -> list[str]:
    """List the old names in a params document, as `old is now new`; empty where there are none."""
    found = [f"{old} is now {new}" for old, new in KEYS.items() if any(_has_key(document, o) for o in _spellings(old))]
    found += [f"{place} {old} is now {ARMS[old]}" for place, old in _arm_names(document) if old in ARMS]
    return found


def _spellings(key: str) -> Iterator[str]:
    """Yield a dotted key, and the same under the old name of its section."""
    yield key
    section, _, rest = key.partition(".")
    yield from (f"{old}.{rest}" for old, new in KEYS.items() if new == section and rest)


def _has_key(document: Any, dotted: str) -> bool:
    for key in dotted.split("."):
        if not isinstance(document, dict) or key not in document:
            return False
        document = document[key]
    return True


def _arm_names(document: Any) -> Iterator[tuple[str, str]]:
    """Yield each place that names an arm, with the name."""
    if not isinstance(document, dict):
        return
    for section, key in (
        ("train", "arms"),
        ("compare", "strengths"),
        ("register", "candidate"),
        ("promotion", "candidate"),
    ):
        part = document.get(section)
        names = part.get(key) if isinstance(part, dict) else None
        for name in [names] if isinstance(names, str) else names if isinstance(names, list | dict) else []:
            if isinstance(name, str):
                yield f"{section}.{key}:", name
