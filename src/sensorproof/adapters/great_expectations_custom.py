"""Two expectations that Great Expectations does not have; importing this module registers them."""

# ruff: noqa: N803, N805 - Great Expectations gives these names to the arguments.

from typing import Any

import pandas as pd
from great_expectations.execution_engine import PandasExecutionEngine
from great_expectations.expectations.expectation import ColumnPairMapExpectation
from great_expectations.expectations.metrics.map_metric_provider import (
    ColumnPairMapMetricProvider,
    column_pair_condition_partial,
)

_DOMAIN = ("batch_id", "table", "column_A", "column_B", "row_condition")
"""Without ignore_row_if, whose default the engine ignores. The metrics below handle rows that abstain."""


class _MagnitudeWithin(ColumnPairMapMetricProvider):
    """Checks |A| <= B row by row; a row that lacks one of them abstains."""

    condition_metric_name = "column_pair_values.magnitude_within"
    condition_domain_keys = _DOMAIN
    condition_value_keys = ()

    @column_pair_condition_partial(engine=PandasExecutionEngine)
    def _pandas(cls, column_A: pd.Series, column_B: pd.Series, **kwargs: Any) -> pd.Series:
        return (column_A.abs() <= column_B) | column_A.isna() | column_B.isna()


class _MovesUnlessStill(ColumnPairMapMetricProvider):
    """Checks A > limit or B <= other_limit row by row; a row that lacks one of them abstains."""

    condition_metric_name = "column_pair_values.moves_unless_still"
    condition_domain_keys = _DOMAIN
    condition_value_keys = ("limit", "other_limit")

    @column_pair_condition_partial(engine=PandasExecutionEngine)
    def _pandas(
        cls, column_A: pd.Series, column_B: pd.Series, limit: float, other_limit: float, **kwargs: Any
    ) -> pd.Series:
        return (column_A > limit) | (column_B <= other_limit) | column_A.isna() | column_B.isna()


class ExpectMagnitudeWithin(ColumnPairMapExpectation):
    """Expects the magnitude of column A to be within the row's own tolerance in column B."""

    map_metric = "column_pair_values.magnitude_within"
    success_keys = ("column_A", "column_B", "mostly")
    args_keys = ("column_A", "column_B")


class ExpectMotionUnlessStill(ColumnPairMapExpectation):
    """Expects column A (a sensor's change) above limit where column B (the scene's change) is above other_limit."""

    map_metric = "column_pair_values.moves_unless_still"
    success_keys = ("column_A", "column_B", "limit", "other_limit", "mostly")
    args_keys = ("column_A", "column_B", "limit", "other_limit")
    limit: float
    other_limit: float
