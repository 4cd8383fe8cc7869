"""A month of one-minute values: live matcher, backtest and pandas say the same, to the microsecond.

COINWATCH_TEST_MONTH names a file of recorded values (time, price, and volume where there is one) to be tried besides;
``python -m benchmarks.backtest.month`` shows the same as a table.
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
from tests.support.month import expected, in_runs, made_month, replay, rules_for
from tests.support.rules import fired

RECORDED = os.environ.get("COINWATCH_TEST_MONTH")


def tried(engine: sa.Engine, frame: pd.DataFrame, rule: Rule) -> list[object]:
    start, end = frame["at"].iloc[0] - timedelta(minutes=1), frame["at"].iloc[-1]
    past = backtest(engine, rule, "BTC", "kraken", start=start.to_pydatetime(), end=end.to_pydatetime())
    return [alert.observed_at for alert in past.alerts]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("late", [0.0, 0.01], ids=["in time", "with late values"])
def test_a_month_with_jumps_pauses_repeats_and_outages_fires_what_pandas_says(catalog: sa.Engine, late: float) -> None:
    month = in_runs(made_month(seed=7), seed=8, late=late)
    together = month.assign(run=0)
    rules = rules_for(month)
    for rule, subscription in zip(rules, replay(catalog, month, rules, "BTC", "kraken"), strict=True):
        by_pandas = expected(month, rule)
        assert by_pandas, f"{rule} never fires here, which proves nothing"
        assert fired(catalog, subscription) == by_pandas, f"live {rule}"
        assert tried(catalog, month, rule) == (expected(together, rule) if late else by_pandas), f"backtest {rule}"


@pytest.mark.timeout(600)
@pytest.mark.skipif(RECORDED is None, reason="COINWATCH_TEST_MONTH names no file of recorded values")
def test_a_recorded_month_fires_what_pandas_says(catalog: sa.Engine) -> None:
    month = in_runs(read_values(Path(str(RECORDED))), seed=8, late=0)
    rules = rules_for(month)
    for rule, subscription in zip(rules, replay(catalog, month, rules, "BTC", "kraken"), strict=True):
        assert fired(catalog, subscription) == expected(month, rule) == tried(catalog, month, rule), rule
