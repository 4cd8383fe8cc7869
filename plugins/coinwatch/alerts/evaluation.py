"""Every new quote meets every subscription once; what fires is mailed.

Invariant: alerts, the mail that tells them and the watermark commit together. A run that dies leaves nothing
behind, the next one judges the same quotes, and no quote is judged twice.

A run takes the values beyond the watermarks, sets each against its reference for every kind of rule that somebody
has (sql/alerts/moves_*), finds the conditions these moves meet along the index of thresholds, and lets those fire
that are armed and rested. The cost follows the values and the alerts, not the number of subscriptions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from coinwatch.database import statement

TEMPORARY_TABLES = ("judged_quotes", "moves", "hits")
MOVES = {
    "change_since_last": "alerts/evaluation/moves_since_last",
    "crosses": "alerts/evaluation/moves_across",
    "change_over_window": "alerts/evaluation/moves_over_window",
    "deviation_from_average": "alerts/evaluation/moves_from_average",
}
# The same moves of a batch that is longer than what each of its values looks back upon.
SWEEPS = {
    "change_over_window": "alerts/evaluation/sweep_over_window",
    "deviation_from_average": "alerts/evaluation/sweep_from_average",
}
# Of a kind and window with fewer subscriptions it pays to know on which instruments, and what a move has to reach.
FEW = 1000
# A reference may be this much older than the window: beyond that the last value before it is no reference any more.
SLACK = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What one evaluation did.

    ``quotes`` is the number of values evaluated, ``alerts`` the number of alerts that fired, ``kinds`` the same number by
    kind of rule. ``expired`` holds the ids of the subscriptions whose end has passed.
    """

    quotes: int
    alerts: int
    kinds: Mapping[str, int]
    expired: Sequence[int]


def evaluate(connection: Connection, now: datetime, max_age: timedelta = timedelta(hours=1)) -> Evaluation:
    """Evaluate every pending quote and store the alerts that fire.

    The caller holds ``Lock.EVALUATION`` and commits the alerts together with their notifications. An alert on a quote
    observed more than ``max_age`` before ``now`` is stored as late.
    """
    quotes = alerts = 0
    pending = connection.execute(statement("alerts/evaluation/news")).one_or_none()
    if pending is not None:
        prepare(connection)
        quotes, alerts = evaluate_range(connection, pending.oldest, pending.newest, now, now - max_age)
        connection.execute(statement("alerts/evaluation/advance_watermarks"))
    expired = connection.execute(statement("alerts/evaluation/expire_subscriptions"), {"now": now}).scalars().all()
    kinds = {row.kind: row.alerts for row in connection.execute(statement("alerts/evaluation/count_new_alerts"))}
    return Evaluation(quotes, alerts, kinds, expired)


def prepare(connection: Connection) -> None:
    """Make the session's temporary tables; they are empty again after every transaction."""
    for table in TEMPORARY_TABLES:
        connection.execute(statement(f"alerts/evaluation/create_{table}"))


def evaluate_range(
    connection: Connection,
    oldest: datetime,
    newest: datetime,
    now: datetime,
    late_before: datetime,
    *,
    sweep: bool = False,
) -> tuple[int, int]:
    """Judge the values in (``oldest``, ``newest``] that lie beyond their watermarks; their number, and the alerts'.

    Needs ``prepare`` once in the session. Runs on whatever tables of these names the session sees first: the backtest
    puts temporary ones before them. ``sweep`` looks back in one pass over all values also where few are judged. The
    watermarks stay where they are.
    """
    between = {"oldest": oldest, "newest": newest}
    quotes = connection.execute(statement("alerts/evaluation/take_new_quotes"), between).rowcount
    if not quotes:
        return 0, 0
    in_use = connection.execute(statement("alerts/evaluation/rules_in_use"), {"few": FEW}).all()
    for rules in in_use:
        bounds = _bounds(rules)
        if rules.kind in SWEEPS and (sweep or rules.newest - rules.oldest > _look_back(rules)):
            rule = {"kind": rules.kind, "seconds": rules.window_seconds, "first_at": rules.oldest, "few": FEW}
            bounds |= connection.execute(statement("alerts/evaluation/sweep_bounds"), rule).mappings().one()
            connection.execute(statement(SWEEPS[rules.kind]), bounds)
        else:
            connection.execute(statement(MOVES[rules.kind]), bounds)
    connection.execute(statement("alerts/evaluation/find_hits"))
    if any(rules.kind == "crosses" for rules in in_use):
        connection.execute(statement("alerts/evaluation/find_crossed"))
    if any(rules.any_disarmed for rules in in_use):  # after those that were armed, so that none is met twice
        connection.execute(statement("alerts/evaluation/arm_again"))
    alerts = connection.execute(
        statement("alerts/evaluation/fire"), {"now": now, "late_before": late_before}
    ).scalar_one()
    return quotes, alerts


def _bounds(rules: sa.Row[Any]) -> dict[str, object]:
    """What moves of one kind and window have to reach, on which instruments, and between which moments their references
    lie, so that no other partition is planned for.
    """
    bounds = {"instruments": rules.instruments, "lowest": rules.lowest, "kind": rules.kind}
    if rules.kind == "crosses":
        return bounds | {"highest": rules.highest}
    if not rules.window_seconds:
        return bounds
    window = timedelta(seconds=rules.window_seconds)
    bounds |= {"seconds": rules.window_seconds, "window": window, "oldest": rules.oldest - _look_back(rules)}
    if rules.kind == "deviation_from_average":
        return bounds | {"newest": rules.newest}
    return bounds | {"newest": rules.newest - window, "slack": SLACK}


def _look_back(rules: sa.Row[Any]) -> timedelta:
    window = timedelta(seconds=rules.window_seconds)
    return window if rules.kind == "deviation_from_average" else window + SLACK
