"""Two expectations that the stock ones do not say; importing this module registers them with Great Expectations."""

from typing import Any

import pandas as pd
from great_expectations.execution_engine import PandasExecutionEngine
from great_expectations.expectations.expectation import ColumnPairMapExpectation
from great_expectations.expectations.metrics.map_metric_provider import (
    ColumnPairMapMetricProvider,
    column_pair_condition_partial,
)

_DOMAIN = ("batch_id", "table", "column_A", "column_B", "row_condition")
"""Without ignore_row_if, whose default the engine does not read: rows that abstain are told by the metrics here."""


class _MagnitudeWithin(ColumnPairMapMetricProvider):
    """|A| <= B, row by row; a row without either abstains."""

    condition_metric_name = "column_pair_values.magnitude_within"
    condition_domain_keys = _DOMAIN
    condition_value_keys = ()

    @column_pair_condition_partial(engine=PandasExecutionEngine)
    def _pandas(cls, column_A: pd.Series, column_B: pd.Series, **kwargs: Any) -> pd.Series:
        return (column_A.abs() <= column_B) | column_A.isna() | column_B.isna()


class _MovesUnlessStill(ColumnPairMapMetricProvider):
    """A > limit, or B <= other_limit, row by row; a row without either abstains."""

    condition_metric_name = "column_pair_values.moves_unless_still"
    condition_domain_keys = _DOMAIN
    condition_value_keys = ("limit", "other_limit")

    @column_pair_condition_partial(engine=PandasExecutionEngine)
    def _pandas(
        cls, column_A: pd.Series, column_B: pd.Series, limit: float, other_limit: float, **kwargs: Any
    ) -> pd.Series:
        return (column_A > limit) | (column_B <= other_limit) | column_A.isna() | column_B.isna()


class ExpectMagnitudeWithin(ColumnPairMapExpectation):
    """Expect the magnitude of column A to lie within the row's own tolerance in column B."""

    map_metric = "column_pair_values.magnitude_within"
    success_keys = ("column_A", "column_B", "mostly")
    args_keys = ("column_A", "column_B")


class ExpectMotionUnlessStill(ColumnPairMapExpectation):
    """Expect column A (a sensor's change) above limit wherever column B (the scene's change) is above other_limit."""

    map_metric = "column_pair_values.moves_unless_still"
    success_keys = ("column_A", "column_B", "limit", "other_limit", "mostly")
    args_keys = ("column_A", "column_B", "limit", "other_limit")
    limit: float
    other_limit: float
