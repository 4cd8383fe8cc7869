"""The highest and lowest values of the periods that new_high and new_low compare with.

For each instrument and period in use, ``period_extremes`` has a row per hour: it is computed from candles when the
first quote of an hour is evaluated, and raised by the quotes that have been evaluated since. So most quotes cost one
lookup, whatever the length of the period and the number of subscriptions.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from coinwatch.alerts.rules import PERIODS, VOLUME_PERIODS, Metric
from coinwatch.database import statement
from coinwatch.time_range import DAY, HOUR, floor_to

SIGNS = {"new_high": 1, "new_low": -1}
VOLUME_SECONDS = [PERIODS[period] for period in VOLUME_PERIODS]


def compute_extremes(connection: Connection, in_use: Sequence[sa.Row[Any]]) -> None:
    """Compute the extremes before the pending quotes, unless they are known, and forget those that no rule uses.

    ``in_use`` has the kinds and windows of all active rules.
    """
    rules = [each for each in in_use if each.kind in SIGNS]
    instruments, periods = _instruments(rules), _periods(rules)
    connection.execute(statement("alerts/evaluation/delete_unused_extremes"), _wanted(instruments, periods))
    if not rules:
        return
    oldest, newest = floor_to(rules[0].oldest, HOUR), rules[0].newest
    if prices := _periods(rules, "price"):
        recent = {"first_hour": oldest, "recent_from": floor_to(newest, HOUR) - HOUR, "newest": newest}
        query = statement("alerts/evaluation/compute_price_extremes")
        connection.execute(query, _wanted(instruments, prices) | recent)
    if volumes := [seconds for seconds in _periods(rules, "volume_24h") if seconds in VOLUME_SECONDS]:
        known = {"oldest": oldest - timedelta(seconds=max(volumes)) - DAY, "newest": newest}
        query = statement("alerts/evaluation/compute_volume_extremes")
        connection.execute(query, _wanted(instruments, volumes) | known)


def find_changes(connection: Connection, rules: sa.Row[Any]) -> None:
    """Insert the changes beyond the extremes of one kind and period."""
    parameters = {
        "kind": rules.kind,
        "seconds": rules.window_seconds,
        "sign": SIGNS[rules.kind],
        "instruments": rules.instruments,
        "lowest": rules.lowest,
    }
    connection.execute(statement("alerts/evaluation/find_changes_from_extreme"), parameters)


def raise_extremes(connection: Connection) -> None:
    """Add the pending quotes to the extremes that later ones are compared with."""
    connection.execute(statement("alerts/evaluation/raise_extremes"))


def _wanted(instruments: list[int] | None, periods: list[int]) -> dict[str, object]:
    return {"instruments": instruments, "periods": periods}


def _periods(rules: Sequence[sa.Row[Any]], metric: Metric | None = None) -> list[int]:
    """The periods of the rules that watch a metric, in seconds, or that may: of many rules, it is not known."""
    return sorted(
        {each.window_seconds for each in rules if metric is None or each.metrics is None or metric in each.metrics}
    )


def _instruments(rules: Sequence[sa.Row[Any]]) -> list[int] | None:
    """The instruments that rules watch; None if there are too many rules to tell."""
    if any(each.instruments is None for each in rules):
        return None
    return sorted({instrument for each in rules for instrument in each.instruments})
