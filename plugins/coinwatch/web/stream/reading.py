"""Reading what the stream sends: one cheap statement to see whether anything is new, and the rest only if it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Engine

from coinwatch.database import fetch_rows, transaction
from coinwatch.prices.history.markets import MarketPrice, main_markets, read_market_prices
from coinwatch.status import exchange_health
from coinwatch.web.overview.exchange_problems import find_problems
from coinwatch.web.overview.histories import RecentHistories
from coinwatch.web.overview.positions import EPOCH, Position
from coinwatch.web.overview.rates import find_rates
from coinwatch.web.overview.rows import build_rows
from coinwatch.web.stream.events import IndexAlert, Payload, price_payload, problem_payload, rates_payload

MAX_ALERTS = 100


@dataclass(frozen=True, slots=True)
class State:
    """What was last read. ``received_at`` is when the price of each coin was received."""

    position: Position
    markets: Sequence[MarketPrice]
    prices: Mapping[str, Payload]
    received_at: Mapping[str, datetime]
    rates: Mapping[str, float]
    exchanges: Sequence[Payload]


class _Newest(NamedTuple):
    received_at: datetime | None
    fired_at: datetime | None


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads the state, as of the given time; ``max_age`` is the age from which an exchange has a problem."""

    engine: Engine
    histories: RecentHistories
    max_age: timedelta

    def read(self, now: datetime, previous: State | None) -> State:
        """The state now. Without new prices, only the state of exchanges is read again. Raises DatabaseError."""
        with transaction(self.engine) as connection:
            [newest] = fetch_rows(connection, "web/stream/select_newest", {}, _Newest)
        position = Position(newest.received_at or EPOCH, newest.fired_at or EPOCH)
        if previous is not None and position.prices == previous.position.prices:
            return replace(previous, position=position, exchanges=self._read_problems(previous.markets, now))
        markets = read_market_prices(self.engine)
        main = main_markets(markets)
        rows = build_rows(markets, self.histories.get(self.engine, list(main.values()), now), now)
        return State(
            position=position,
            markets=markets,
            prices={row.coin: price_payload(row) for row in rows},
            received_at={coin: market.received_at for coin, market in main.items()},
            rates=rates_payload(find_rates(markets, now)),
            exchanges=self._read_problems(markets, now),
        )

    def _read_problems(self, markets: Sequence[MarketPrice], now: datetime) -> list[Payload]:
        problems = find_problems(markets, exchange_health(self.engine), now, self.max_age)
        return [problem_payload(problem) for problem in problems]

    def read_alerts(self, after: datetime, until: datetime) -> list[IndexAlert] | None:
        """The alerts on indices that fired in (after, until], oldest first; None if there are more than MAX_ALERTS."""
        parameters = {"after": after, "until": until, "limit": MAX_ALERTS + 1}
        with transaction(self.engine) as connection:
            alerts = fetch_rows(connection, "web/stream/select_index_alerts", parameters, IndexAlert)
        return None if len(alerts) > MAX_ALERTS else alerts
