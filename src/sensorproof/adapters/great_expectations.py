"""Great Expectations checks the table of measures: rules in, violations by row out, Data Docs beside them.

The only module that imports great_expectations, and only inside its functions, so that the library works without it.
Contract test: tests/pipeline/test_great_expectations.py.
"""

import json
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd

from sensorproof.adapters.data_docs import make_offline
from sensorproof.alignment.decision.rules import Rule
from sensorproof.errors import SensorproofError
from sensorproof.files import atomic_folder

_ROW = "row"
"""Column that leads from a violation back to the row of the table."""
_FIRST = "first_of_pair"
"""Column that marks one row per pair: rules on the batch are the same in every row and are checked once."""
_SITE = "alignment"


@dataclass(frozen=True)
class ExpectationResults:
    """The result of Great Expectations."""

    success: bool
    broken: pd.DataFrame
    """A row per rule and row that breaks it: rule (its number) and row (index label in the table)."""
    suite: dict[str, Any]
    """The suite as Great Expectations writes it, without ids."""


def check_installed() -> None:
    """Check that Great Expectations can be imported.

    Raises:
        SensorproofError: it is not installed.
    """
    if find_spec("great_expectations") is None:
        fault, fix = "great_expectations is not installed", 'pip install "sensorproof[pipeline]"'
        raise SensorproofError("validation", fault, fix)


def check_expectations(
    table: pd.DataFrame, rules: Sequence[Rule], suite_name: str, docs: Path | None = None
) -> ExpectationResults:
    """Check a table of measures by rules.

    Args:
        table: a row per frame and pair with the measures that the rules name; NaN abstains.
        rules: what to check.
        suite_name: name and version of the suite.
        docs: folder for the Data Docs, which is replaced as a whole; None writes none.

    Raises:
        SensorproofError: Great Expectations is not installed.
        RuntimeError: an expectation could not be evaluated.
    """
    check_installed()
    with _quiet():
        import great_expectations as gx
        from great_expectations.checkpoint import UpdateDataDocsAction

        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = {"globally": False}  # type: ignore[assignment]
        for name in list(context.get_site_names()):
            context.delete_data_docs_site(name)
        suite = context.suites.add_or_update(gx.ExpectationSuite(name=suite_name, expectations=_expectations(rules)))
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
        broken = _broken_rules(next(iter(result.run_results.values())), len(rules))
        return ExpectationResults(bool(result.success), broken, _without_ids(suite.to_json_dict()))


def _without_ids(suite: Any) -> Any:
    """Return a suite as JSON without ids, which Great Expectations draws again each time."""
    suite = json.loads(json.dumps(suite))
    for part in (suite, *suite["expectations"]):
        part.pop("id", None)
    return suite


def _expectations(rules: Sequence[Rule]) -> list[Any]:
    """Return one expectation per rule, with the rule's number in `meta`."""
    import great_expectations.expectations as gxe

    from sensorproof.adapters.great_expectations_custom import ExpectMagnitudeWithin, ExpectMotionUnlessStill

    expectations: list[Any] = []
    for number, rule in enumerate(rules):
        common: dict[str, Any] = {
            "severity": rule.severity,
            "meta": {"rule": number, "scope": rule.scope},
            "description": describe(rule),
        }
        if rule.scope == "batch":
            common |= {"row_condition": f"{_FIRST} == True", "condition_parser": "pandas"}
        if rule.test == "within":
            expectations.append(ExpectMagnitudeWithin(column_A=rule.column, column_B=rule.other, **common))
        elif rule.test == "unless_still":
            expectations.append(
                ExpectMotionUnlessStill(
                    column_A=rule.column,
                    column_B=rule.other,
                    limit=rule.limit,
                    other_limit=rule.other_limit,
                    **common,
                )
            )
        else:
            expectations.append(gxe.ExpectColumnValuesToBeBetween(column=rule.column, **_bounds(rule), **common))
    return expectations


def _bounds(rule: Rule) -> dict[str, Any]:
    """Return the limits of a rule on one measure as arguments of ExpectColumnValuesToBeBetween."""
    return {
        "at_most": {"max_value": rule.limit},
        "below": {"max_value": rule.limit, "strict_max": True},
        "at_least": {"min_value": rule.limit},
        "above": {"min_value": rule.limit, "strict_min": True},
    }[rule.test]


def describe(rule: Rule) -> str:
    """Return the line that describes a rule in the Data Docs."""
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
    once = " The same in all frames: checked in the first." if rule.scope == "batch" else ""
    return f"{condition}. Broken: {rule.reason}; {consequence}.{once}"


def _broken_rules(validation: Any, rules: int) -> pd.DataFrame:
    """Return the violations of a validation result.

    Args:
        validation: of Great Expectations.
        rules: number of rules that must have been evaluated.

    Raises:
        RuntimeError: an expectation could not be evaluated. That is an internal error, which must not count as success.
    """
    parts = []
    for result in validation.results:
        if "element_count" not in result.result:
            # exception_info is nested by metric in some releases and flat in others; a result is in all of them.
            raise RuntimeError(f"{result.expectation_config.type} did not run: {result.exception_info}")
        rows = [entry[_ROW] for entry in result.result.get("unexpected_index_list") or []]
        parts.append(pd.DataFrame({"rule": result.expectation_config.meta["rule"], "row": rows}))
    if len(parts) != rules:
        raise RuntimeError(f"{len(parts)} of {rules} expectations were evaluated")
    return pd.concat(parts, ignore_index=True).astype(int)


@contextmanager
def _quiet() -> Iterator[None]:
    """Turn off telemetry, progress bars and warnings of Great Expectations."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    os.environ.setdefault("TQDM_DISABLE", "1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
