"""A month of one-minute values: live evaluation, backtest and pandas fire at the same times, to the microsecond.

COINWATCH_TEST_MONTH may name a file of recorded values (time, price, optionally volume) to test with as well;
``python -m benchmarks.backtest.month`` prints the same comparison as a table.
"""

import os
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy as sa

from benchmarks.backtest.month import read_values
from coinwatch.alerts.backtest import backtest
from coinwatch.alerts.rules import Rule
from tests.support.month import expected, in_runs, random_month, replay, rules_for
from tests.support.rules import fired

RECORDED = os.environ.get("COINWATCH_TEST_MONTH")


def backtested(engine: sa.Engine, frame: pd.DataFrame, rule: Rule) -> list[object]:
    start, end = frame["at"].iloc[0] - timedelta(minutes=1), frame["at"].iloc[-1]
    past = backtest(engine, rule, "BTC", "kraken", start=start.to_pydatetime(), end=end.to_pydatetime())
    return [alert.observed_at for alert in past.alerts]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("late", [0.0, 0.01], ids=["on time", "late values"])
def test_simulated_month_with_jumps_gaps_and_outages_matches_pandas(catalog: sa.Engine, late: float) -> None:
    month = in_runs(random_month(seed=7), seed=8, late=late)
    together = month.assign(run=0)
    rules = rules_for(month)
    for rule, subscription in zip(rules, replay(catalog, month, rules, "BTC", "kraken"), strict=True):
        by_pandas = expected(month, rule)
        assert by_pandas, f"{rule} never fires"
        assert fired(catalog, subscription) == by_pandas, f"live {rule}"
        assert backtested(catalog, month, rule) == (expected(together, rule) if late else by_pandas), f"backtest {rule}"


@pytest.mark.timeout(600)
@pytest.mark.skipif(RECORDED is None, reason="COINWATCH_TEST_MONTH is not set")
def test_recorded_month_matches_pandas(catalog: sa.Engine) -> None:
    month = in_runs(read_values(Path(str(RECORDED))), seed=8, late=0)
    rules = rules_for(month)
    for rule, subscription in zip(rules, replay(catalog, month, rules, "BTC", "kraken"), strict=True):
        assert fired(catalog, subscription) == expected(month, rule) == backtested(catalog, month, rule), rule
