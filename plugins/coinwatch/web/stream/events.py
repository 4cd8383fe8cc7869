"""The events of the stream, and what a client has selected."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from fastapi.sse import format_sse_event

from coinwatch.web.formatting import iso
from coinwatch.web.overview.exchange_problems import ExchangeProblem
from coinwatch.web.overview.positions import Position
from coinwatch.web.overview.rates import Rate
from coinwatch.web.overview.rows import CoinRow

PRICES, ALERTS, EXCHANGES = "prices", "alerts", "exchanges"
EVENTS = (PRICES, ALERTS, EXCHANGES)
RETRY_MILLISECONDS = 3000
HEARTBEAT = b": heartbeat\n\n"
SIGNIFICANT_DIGITS = 10

Payload = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Selection:
    """The events and coins (codes) that a client wants; no ``coins`` means all."""

    events: frozenset[str]
    coins: frozenset[str] = frozenset()

    def of_coins(self, payloads: Iterable[Payload]) -> list[Payload]:
        return [payload for payload in payloads if not self.coins or payload["coin"] in self.coins]


@dataclass(frozen=True, slots=True)
class IndexAlert:
    """A fired alert on an index, without who receives it. Equal alerts of several subscribers are one."""

    coin: str
    quote: str
    kind: str
    metric: str
    direction: str
    window_seconds: int
    change_percent: float
    value: float
    observed_at: datetime
    fired_at: datetime

    def payload(self) -> Payload:
        """The alert as JSON."""
        return asdict(self) | {"observed_at": iso(self.observed_at), "fired_at": iso(self.fired_at)}


@dataclass
class Update:
    """What is new at a position: the changed prices, new alerts, and all exchange problems if they changed.

    It is encoded once per selection, however many clients have the same.
    """

    position: Position
    prices: Sequence[Payload] = ()
    rates: Mapping[str, float] = field(default_factory=dict)
    alerts: Sequence[Payload] = ()
    exchanges: Sequence[Payload] | None = None
    _encoded: dict[Selection, bytes] = field(default_factory=dict)

    def encode(self, selection: Selection) -> bytes:
        """The selected events; empty if none is new. Each id is a position from which nothing is missed."""
        if selection not in self._encoded:
            self._encoded[selection] = b"".join(self._events(selection))
        return self._encoded[selection]

    def _events(self, selection: Selection) -> Iterable[bytes]:
        # Until the alerts are sent, a client must not continue after them.
        before = Position(self.position.prices)
        alerts = selection.of_coins(self.alerts) if ALERTS in selection.events else []
        first = before if alerts else self.position
        if EXCHANGES in selection.events and self.exchanges is not None:
            yield encode_event(EXCHANGES, {"exchanges": list(self.exchanges)})
        if PRICES in selection.events and (prices := selection.of_coins(self.prices)):
            yield encode_event(PRICES, {"prices": prices, "rates": dict(self.rates)}, None if alerts else first)
        if alerts:
            yield encode_event(ALERTS, {"alerts": alerts}, self.position)


def encode_event(event: str, content: Payload, position: Position | None = None) -> bytes:
    """One event with JSON as data."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return format_sse_event(event=event, data_str=text, id=None if position is None else str(position))


def price_payload(row: CoinRow) -> Payload:
    """A coin's row in the overview as JSON; percentages in percent, the volume in the quote currency."""
    return {
        "coin": row.coin,
        "exchange": row.exchange,
        "quote": row.quote,
        "price": row.price,
        "changes_percent": {
            name: None if change is None else round(change, 4) for name, change in row.changes_percent.items()
        },
        "volume_24h": None if row.volume_24h is None else _significant(row.volume_24h),
        "observed_at": iso(row.observed_at),
    }


def rates_payload(rates: Iterable[Rate]) -> dict[str, float]:
    """The value of each currency in US dollars."""
    return {rate.currency: _significant(rate.usd) for rate in rates}


def problem_payload(problem: ExchangeProblem) -> Payload:
    """An exchange without current prices as JSON."""
    return asdict(problem) | {"since": None if problem.since is None else iso(problem.since)}


def _significant(value: float) -> float:
    return float(f"{value:.{SIGNIFICANT_DIGITS}g}")
