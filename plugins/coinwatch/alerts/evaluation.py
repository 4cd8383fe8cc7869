"""Evaluates pending quotes: compares each with the rules of all subscriptions, exactly once.

An evaluation reads the quotes observed after the watermarks, compares each value with its reference for every kind of
rule in use (find_changes_*.sql, scan_changes.sql), looks up the subscriptions whose threshold the changes reach, and
fires those that are armed and past their cooldown. Its cost depends on the numbers of quotes and alerts, not on the
number of subscriptions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from coinwatch.alerts import extremes
from coinwatch.database import statement, transaction
from coinwatch.time_range import TimeRange

TEMPORARY_TABLES = ("pending_quotes", "changes", "candidates")
FIND_CHANGES = {
    "change_since_last": "alerts/evaluation/find_changes_since_last",
    "crosses": "alerts/evaluation/find_changes_since_last",
    "change_over_window": "alerts/evaluation/find_changes_over_window",
    "deviation_from_average": "alerts/evaluation/find_changes_from_average",
}
# The instruments and thresholds of the subscriptions with one kind and window narrow down the changes to look up,
# unless there are more subscriptions than this.
MAX_RULES = 1000
# How much older than the window a reference may be.
SLACK = timedelta(days=1)
MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The result of one evaluation.

    ``quotes`` is the number of values evaluated, ``alerts`` the number of alerts that fired, and ``kinds`` the latter
    by kind of rule. ``expired`` has the ids of the subscriptions that have expired.
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
    pending = connection.execute(statement("alerts/evaluation/select_pending_range")).one_or_none()
    if pending is not None:
        create_temporary_tables(connection)
        quotes, alerts = evaluate_range(connection, pending.oldest, pending.newest, now, now - max_age)
        extremes.raise_extremes(connection)
        connection.execute(statement("alerts/evaluation/advance_watermarks"))
    expired = connection.execute(statement("alerts/evaluation/expire_subscriptions"), {"now": now}).scalars().all()
    kinds = {row.kind: row.alerts for row in connection.execute(statement("alerts/evaluation/count_new_alerts"))}
    return Evaluation(quotes, alerts, kinds, expired)


def has_pending_quotes(engine: Engine, time_range: TimeRange) -> bool:
    """Whether any quote of the time range has not been evaluated."""
    bounds = {"start": time_range.start, "end": time_range.end}
    with transaction(engine) as connection:
        return bool(connection.execute(statement("alerts/evaluation/has_pending_quotes"), bounds).scalar_one())


def create_temporary_tables(connection: Connection) -> None:
    """Create the session's temporary tables; they are emptied at the end of every transaction."""
    for table in TEMPORARY_TABLES:
        connection.execute(statement(f"alerts/evaluation/create_{table}"))


def evaluate_range(
    connection: Connection,
    oldest: datetime,
    newest: datetime,
    now: datetime,
    late_before: datetime,
    *,
    scan: bool | None = None,
) -> tuple[int, int]:
    """Evaluate the values in (``oldest``, ``newest``] that lie after their watermarks.

    Returns the numbers of values and of alerts. Doesn't advance the watermarks. Requires
    :func:`create_temporary_tables` once per session. The statements use the tables that the session sees first: the
    backtest creates temporary ones that hide the real ones. ``scan`` reads windows in one pass over all values, instead
    of looking up a reference for each; by default the length of the range decides.
    """
    pending_range = {"oldest": oldest, "newest": newest}
    quotes = connection.execute(statement("alerts/evaluation/copy_pending_quotes"), pending_range).rowcount
    if not quotes:
        return 0, 0
    in_use = connection.execute(statement("alerts/evaluation/select_rules_in_use"), {"max_rules": MAX_RULES}).all()
    extremes.compute_extremes(connection, in_use)
    for rules in in_use:
        if rules.kind in extremes.SIGNS:
            extremes.find_changes(connection, rules)
        else:
            _find_changes(connection, rules, scan=scan)
    connection.execute(statement("alerts/evaluation/find_candidates"))
    ladders = {rules.kind for rules in in_use if rules.any_ladders}
    if any(rules.kind == "crosses" for rules in in_use):
        connection.execute(statement("alerts/evaluation/find_crossed_levels"))
    if "crosses" in ladders:
        connection.execute(statement("alerts/evaluation/find_steps_beyond_levels"))
    if "change_over_window" in ladders:  # before rearm_subscriptions, which ends ladders
        connection.execute(statement("alerts/evaluation/find_steps_in_windows"))
    if any(rules.any_disarmed for rules in in_use):  # after find_candidates, which would find the rearmed ones again
        connection.execute(statement("alerts/evaluation/rearm_subscriptions"))
    lateness = {"now": now, "late_before": late_before}
    alerts = connection.execute(statement("alerts/evaluation/fire_alerts"), lateness).scalar_one()
    return quotes, alerts


def _find_changes(connection: Connection, rules: sa.Row[Any], *, scan: bool | None) -> None:
    """Insert the changes that rules of one kind and window are compared with."""
    bounds = _bounds(rules)
    if scan is None:
        scan = rules.newest - rules.oldest > _max_reference_age(rules)
    if rules.window_seconds and scan:
        subject = {
            "kind": rules.kind,
            "seconds": rules.window_seconds,
            "first_at": rules.oldest,
            "max_rules": MAX_RULES,
        }
        bounds |= connection.execute(statement("alerts/evaluation/select_scan_bounds"), subject).mappings().one()
        connection.execute(statement("alerts/evaluation/scan_changes"), bounds | _frame(rules))
    else:
        connection.execute(statement(FIND_CHANGES[rules.kind]), bounds)


def _bounds(rules: sa.Row[Any]) -> dict[str, object]:
    """Parameters that narrow down the changes: instruments, thresholds, and the time range of the references.

    Thanks to the time range, Postgres plans for only some partitions of prices.
    """
    bounds = {"instruments": rules.instruments, "lowest": rules.lowest, "kind": rules.kind}
    if not rules.window_seconds:
        return bounds | {"highest": rules.highest}
    window = timedelta(seconds=rules.window_seconds)
    bounds |= {
        "seconds": rules.window_seconds,
        "window": window,
        "oldest": rules.oldest - _max_reference_age(rules),
    }
    if rules.kind == "deviation_from_average":
        return bounds | {"newest": rules.newest}
    return bounds | {"newest": rules.newest - window, "slack": SLACK}


def _frame(rules: sa.Row[Any]) -> dict[str, object]:
    """Where the references of a value are, in microseconds before it, and whether they are averaged."""
    average = rules.kind == "deviation_from_average"
    frame_end = 1 if average else timedelta(seconds=rules.window_seconds) // MICROSECOND
    return {"average": average, "frame_start": _max_reference_age(rules) // MICROSECOND, "frame_end": frame_end}


def _max_reference_age(rules: sa.Row[Any]) -> timedelta:
    window = timedelta(seconds=rules.window_seconds)
    return window if rules.kind == "deviation_from_average" else window + SLACK
