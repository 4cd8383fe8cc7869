"""Our implementation of Grafana's macros matches Grafana's documentation and source."""

from datetime import UTC, datetime

import pytest

from tests.support.grafana_macros import expand

START = datetime(2017, 4, 21, 5, 1, 17, tzinfo=UTC)
END = datetime(2017, 4, 21, 5, 6, 17, tzinfo=UTC)
CHOSEN = {"coin": "BTC", "exchange": ["kraken", "o'clock"], "nothing": []}


@pytest.mark.parametrize(
    ("sql", "sent"),
    [
        ("$__timeFilter(at)", "at BETWEEN '2017-04-21T05:01:17Z' AND '2017-04-21T05:06:17Z'"),
        ("$__timeFrom() $__timeTo()", "'2017-04-21T05:01:17Z' '2017-04-21T05:06:17Z'"),
        ("$__timeGroup(at, '5m')", "floor(extract(epoch from at)/300)*300"),
        ("$__timeGroupAlias(at,$__interval,NULL)", 'floor(extract(epoch from at)/60)*60 AS "time"'),
        ("$__from $__to", "1492750877000 1492751177000"),
        ("${coin:sqlstring}", "'BTC'"),
        ("${exchange:sqlstring}", "'kraken','o''clock'"),
        ("ARRAY[${nothing:sqlstring}]", "ARRAY[]"),
    ],
)
def test_macros_and_variables_are_expanded(sql: str, sent: str) -> None:
    assert expand(sql, start=START, end=END, variables=CHOSEN) == sent


@pytest.mark.parametrize(
    "sql",
    [
        "$__timeSlice(at)",
        "$__timeFilter()",
        "$__timeFilter(date_trunc('hour', at))",  # the argument ends at the first parenthesis
        "$__timeGroup(at, 'soon')",
        "$__timeGroup(at, '0m')",
        "$__timeGroup(at, '5m', sometimes)",
        "${coin:raw}",
        "${price:sqlstring}",
        "$coin",
    ],
)
def test_unknown_macro_or_variable_is_an_error(sql: str) -> None:
    with pytest.raises(ValueError, match=r"Grafana|variable|interval|fill|sqlstring"):
        expand(sql, start=START, end=END, variables=CHOSEN)
