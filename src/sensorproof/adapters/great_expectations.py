"""Great Expectations judges the table of measures: rules in, broken rules by row out, Data Docs beside.

The only module that imports great_expectations. Contract test: tests/pipeline/test_great_expectations.py.
"""

import json
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from sensorproof.adapters.data_docs import make_offline
from sensorproof.alignment.decision.rules import Rule
from sensorproof.files import atomic_folder

_ROW = "row"
"""Column that leads from a broken expectation back to the row of the table."""
_FIRST = "first_of_pair"
"""Marks one row a pair: rules on the batch are the same in every row and are judged once."""
_SITE = "alignment"


@dataclass(frozen=True)
class _ExpectationResults:
    """What Great Expectations found.

    `broken` has a line for every rule and row that breaks it: rule (its number), row (index label in the table).
    """

    success: bool
    broken: pd.DataFrame
    suite: dict[str, Any]
    """The suite as Great Expectations writes it, without ids."""


def check_expectations(
    table: pd.DataFrame, rules: Sequence[Rule], suite_name: str, docs: Path | None = None
) -> _ExpectationResults:
    """Judge a table by rules.

    Args:
        table: a row per frame and sensor pair; rules name its columns, NaN abstains.
        suite_name: name and version of the suite.
        docs: where the Data Docs go (a folder, replaced whole), or None for none.
    """
    with quiet():
        import great_expectations as gx
        from great_expectations.checkpoint import UpdateDataDocsAction

        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = {"globally": False}  # type: ignore[assignment]
        for name in list(context.get_site_names()):
            context.delete_data_docs_site(name)
        suite = context.suites.add_or_update(gx.ExpectationSuite(name=suite_name, expectations=expectations(rules)))
        source = context.data_sources.add_or_update_pandas("measures")
        asset = source.add_dataframe_asset("frames and pairs")
        definition = gx.ValidationDefinition(
            name="alignment", data=asset.add_batch_definition_whole_dataframe("batch"), suite=suite
        )
        context.validation_definitions.add_or_update(definition)
        columns = list(dict.fromkeys(c for r in rules for c in (r.column, r.other) if c))
        frame = table[["frame_id", "sensor", *columns]].copy()
        frame[_ROW] = frame.index
        frame[_FIRST] = ~frame.sensor.duplicated()

        def run(actions: list[Any]) -> Any:
            checkpoint = gx.Checkpoint(
                name="alignment",
                validation_definitions=[definition],
                actions=actions,
                result_format={
                    "result_format": "COMPLETE",
                    "unexpected_index_column_names": [_ROW, "frame_id", "sensor"],
                    "partial_unexpected_count": 10,
                },
            )
            return context.checkpoints.add_or_update(checkpoint).run(batch_parameters={"dataframe": frame})

        if docs is None:
            result = run([])
        else:
            with atomic_folder(docs) as folder:
                backend = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder.resolve())}
                context.add_data_docs_site(
                    site_name=_SITE,
                    site_config={
                        "class_name": "SiteBuilder",
                        "store_backend": backend,
                        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
                    },
                )
                result = run([UpdateDataDocsAction(name="docs", site_names=[_SITE])])
                make_offline(folder)
        found = next(iter(result.run_results.values()))
        return _ExpectationResults(bool(result.success), _broken_rules(found, len(rules)), plain(suite.to_json_dict()))


def plain(value: Any) -> Any:
    """A suite as JSON without the ids that Great Expectations draws anew each time: the same rules, the same text."""
    value = json.loads(json.dumps(value))
    for each in (value, *value["expectations"]):
        each.pop("id", None)
    return value


def expectations(rules: Sequence[Rule]) -> list[Any]:
    """One expectation a rule; its number in `meta` leads back to the rule."""
    import great_expectations.expectations as gxe

    from sensorproof.adapters.great_expectations_custom import ExpectMagnitudeWithin, ExpectMotionUnlessStill

    made: list[Any] = []
    for number, rule in enumerate(rules):
        common: dict[str, Any] = {
            "severity": rule.severity,
            "meta": {"rule": number, "scope": rule.scope},
            "description": describe(rule),
        }
        if rule.scope == "batch":
            common |= {"row_condition": f"{_FIRST} == True", "condition_parser": "pandas"}
        if rule.test == "within":
            made.append(ExpectMagnitudeWithin(column_A=rule.column, column_B=rule.other, **common))
        elif rule.test == "unless_still":
            made.append(
                ExpectMotionUnlessStill(
                    column_A=rule.column,
                    column_B=rule.other,
                    limit=rule.limit,
                    other_limit=rule.other_limit,
                    **common,
                )
            )
        else:
            made.append(gxe.ExpectColumnValuesToBeBetween(column=rule.column, **_bounds(rule), **common))
    return made


def _bounds(rule: Rule) -> dict[str, Any]:
    """The limits of a one-column rule as ExpectColumnValuesToBeBetween takes them."""
    return {
        "at_most": {"max_value": rule.limit},
        "below": {"max_value": rule.limit, "strict_max": True},
        "at_least": {"min_value": rule.limit},
        "above": {"min_value": rule.limit, "strict_min": True},
    }[rule.test]


def describe(rule: Rule) -> str:
    """The line of a rule in the Data Docs."""
    sign = {"at_most": "<=", "below": "<", "at_least": ">=", "above": ">"}
    if rule.test == "within":
        condition = f"|{rule.column}| <= {rule.other}"
    elif rule.test == "unless_still":
        condition = f"{rule.column} > {rule.limit:g} where {rule.other} > {rule.other_limit:g}"
    else:
        condition = f"{rule.column} {sign[rule.test]} {rule.limit:g}"
    consequence = {
        ("batch", "critical"): "refuses the batch",
        ("frame", "critical"): "quarantines the frame",
    }.get((rule.scope, rule.severity), "warns")
    once = " The same in all frames: judged in the first." if rule.scope == "batch" else ""
    return f"{condition}. Broken: {rule.reason}; {consequence}.{once}"


def _broken_rules(found: Any, rules: int) -> pd.DataFrame:
    """Rows that break a rule, from a validation result.

    Raises:
        RuntimeError: an expectation could not be evaluated: a fault of ours, which must not pass for success.
    """
    parts = []
    for result in found.results:
        if "element_count" not in result.result:
            # Its exception_info is nested by metric in some releases and flat in others; a result is in all.
            raise RuntimeError(f"{result.expectation_config.type} did not run: {result.exception_info}")
        rows = [entry[_ROW] for entry in result.result.get("unexpected_index_list") or []]
        parts.append(pd.DataFrame({"rule": result.expectation_config.meta["rule"], "row": rows}))
    if len(parts) != rules:
        raise RuntimeError(f"{len(parts)} of {rules} expectations were evaluated")
    return pd.concat(parts, ignore_index=True).astype(int)


@contextmanager
def quiet() -> Iterator[None]:
    """No telemetry, no progress bars, no deprecation chatter while Great Expectations works."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    os.environ.setdefault("TQDM_DISABLE", "1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
