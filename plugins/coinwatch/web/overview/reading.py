"""Reading the overview: prices now, histories as of up to a minute ago."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Engine

from coinwatch.prices.history.markets import MarketPrice, main_markets, read_market_prices
from coinwatch.status import exchange_health
from coinwatch.web.overview.exchange_problems import ExchangeProblem, find_problems
from coinwatch.web.overview.histories import RecentHistories
from coinwatch.web.overview.positions import EPOCH, Position
from coinwatch.web.overview.rates import Rate, find_rates
from coinwatch.web.overview.rows import CoinRow, build_rows


@dataclass(frozen=True, slots=True)
class Overview:
    """All coins, the exchanges without current prices, and rates to other currencies."""

    read_at: datetime
    prices: Sequence[MarketPrice]
    rows: Sequence[CoinRow]
    problems: Sequence[ExchangeProblem]
    rates: Sequence[Rate]

    @property
    def position(self) -> str:
        """From where a stream continues: the id of an event whose prices these are."""
        return str(Position(max((price.received_at for price in self.prices), default=EPOCH)))


def read_overview(engine: Engine, histories: RecentHistories, now: datetime, max_age: timedelta) -> Overview:
    """Read the overview; prices older than ``max_age`` are a problem of their exchange. Raises DatabaseError."""
    prices = read_market_prices(engine)
    known = histories.get(engine, list(main_markets(prices).values()), now)
    return Overview(
        read_at=now,
        prices=prices,
        rows=build_rows(prices, known, now),
        problems=find_problems(prices, exchange_health(engine), now, max_age),
        rates=find_rates(prices, now),
    )
