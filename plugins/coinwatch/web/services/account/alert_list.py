"""A subscriber's alerts as a table: with their distance from firing, filtered and sorted."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import Depends, Query
from sqlalchemy import Engine

from coinwatch.alerts.distance import Distance, distances_of
from coinwatch.alerts.distance_summary import summarize_distance
from coinwatch.alerts.subscriptions import Subscription
from coinwatch.formatting import format_duration

Sort = Literal["alert", "status", "now", "distance", "fired", "created"]
Order = Literal["asc", "desc"]
State = Literal["active", "snoozed", "paused", "pending"]
RUNNING = ("pending", "active", "paused")
NO_DISTANCE = Distance()


@dataclass(frozen=True, slots=True)
class AlertRow:
    """One alert. ``state`` is its status, or ``snoozed``."""

    subscription: Subscription
    state: str
    distance: Distance

    @property
    def summary(self) -> str:
        """The current value and what it takes for the alert to fire, in words."""
        own = self.subscription
        return summarize_distance(self.distance, own.rule, own.base, own.quote)

    @property
    def needed_history(self) -> str | None:
        """How much history the rule needs before it can fire, if it doesn't have it yet."""
        window = self.subscription.window_seconds
        missing = self.distance.value is not None and self.distance.is_true is None and window
        return format_duration(window) if missing else None


@dataclass(frozen=True, slots=True)
class ListQuery:
    """How the table is sorted, and which alerts it shows (all if ``coin`` and ``state`` are empty)."""

    sort: Sort = "created"
    order: Order = "asc"
    coin: str = ""
    state: str = ""

    def query(self, **changes: str) -> str:
        """The parameters of a link to the same table, with changes; defaults are left out."""
        values = {name: changes.get(name, getattr(self, name)) for name in ("sort", "order", "coin", "state")}
        defaults = ListQuery()
        return urlencode({name: value for name, value in values.items() if value != getattr(defaults, name)})

    def toggled(self, sort: Sort) -> str:
        """The parameters of the link in a column's heading: sorts by it, or reverses the order if it is sorted by."""
        first: Order = "desc" if sort == "fired" else "asc"
        if sort == self.sort:
            first = "desc" if self.order == "asc" else "asc"
        return self.query(sort=sort, order=first)


def read_list_query(
    sort: Annotated[str, Query(max_length=20)] = "created",
    order: Annotated[str, Query(max_length=4)] = "asc",
    coin: Annotated[str, Query(max_length=60)] = "",
    state: Annotated[str, Query(max_length=20)] = "",
) -> ListQuery:
    """The query of a link to the table; unknown values are ignored, because the page is linked from emails."""
    return ListQuery(
        sort if sort in SORT_KEYS else "created",  # type: ignore[arg-type]
        "desc" if order == "desc" else "asc",
        coin,
        state if state in {"active", "snoozed", "paused", "pending"} else "",
    )


ListQueryDep = Annotated[ListQuery, Depends(read_list_query)]


def list_rows(engine: Engine, subscriptions: Iterable[Subscription], now: datetime) -> list[AlertRow]:
    """The alerts that have not ended, with their distances, oldest first."""
    running = [own for own in subscriptions if own.status in RUNNING]
    distances = distances_of(engine, running, now)
    return [AlertRow(own, own.state(now), distances.get(own.id, NO_DISTANCE)) for own in running]


def select_rows(rows: Iterable[AlertRow], query: ListQuery) -> list[AlertRow]:
    """The rows that match the filters, sorted. Rows without a value to sort by come last, in either order."""
    chosen = [
        row
        for row in rows
        if (not query.coin or row.subscription.base == query.coin) and (not query.state or row.state == query.state)
    ]
    key = SORT_KEYS[query.sort]
    known = [row for row in chosen if key(row) is not None]
    return sorted(known, key=key, reverse=query.order == "desc") + [row for row in chosen if key(row) is None]


SORT_KEYS: dict[str, Callable[[AlertRow], Any]] = {
    "alert": lambda row: (row.subscription.coin_name.lower(), row.subscription.exchange_name, row.subscription.id),
    "status": lambda row: row.state,
    "now": lambda row: row.distance.value,
    "distance": lambda row: None if row.distance.distance_percent is None else abs(row.distance.distance_percent),
    "fired": lambda row: row.subscription.last_alert_at,
    "created": lambda row: row.subscription.id,
}
