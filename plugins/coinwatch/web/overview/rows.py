"""One row per coin: the price of its main market, its changes, its volume on all exchanges."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from coinwatch.prices.history.markets import WINDOWS, MarketPrice
from coinwatch.time_range import DAY
from coinwatch.web.overview.histories import NO_HISTORY, CoinHistory


@dataclass(frozen=True, slots=True)
class CoinRow:
    """A coin in the overview.

    ``price`` is that of its main market, in ``quote``. ``changes_percent`` are by the name of each window, None if no
    price is known from its start. ``volume_24h`` is in ``quote``: what all exchanges traded in any currency, at this
    price; None if no exchange reports it. ``exchanges`` is the number of those that have a price, without the index,
    ``sparkline`` the path of an SVG.
    """

    coin: str
    name: str
    exchange: str
    exchange_name: str
    quote: str
    price: float
    observed_at: datetime
    changes_percent: Mapping[str, float | None]
    volume_24h: float | None
    exchanges: int
    simulated: bool
    sparkline: str


def build_rows(prices: Iterable[MarketPrice], histories: Mapping[int, CoinHistory], now: datetime) -> list[CoinRow]:
    """The rows of all coins, from prices in the order of ``read_market_prices``."""
    rows = []
    for coin, group in groupby(prices, key=lambda price: price.base):
        markets = list(group)
        main = markets[0]
        history = histories.get(main.instrument_id, NO_HISTORY)
        volume = traded_volume(markets, now)
        rows.append(
            CoinRow(
                coin=coin,
                name=main.coin_name,
                exchange=main.exchange,
                exchange_name=main.exchange_name,
                quote=main.quote,
                price=main.price,
                observed_at=main.observed_at,
                changes_percent={name: _change(main, history, name, now) for name in WINDOWS},
                volume_24h=None if volume is None else volume * main.price,
                exchanges=len({market.exchange for market in markets if market.exchange != "index"}),
                simulated=main.simulated,
                sparkline=history.sparkline,
            )
        )
    return rows


def traded_volume(markets: Sequence[MarketPrice], now: datetime) -> float | None:
    """What was traded of a coin in 24 hours, in the coin: the sum over the pairs of all exchanges, each counted once.

    The index and aggregators are left out, since their volumes contain those of the exchanges; the largest of an
    aggregator counts only if no exchange reports one. Simulated volumes are never added to real ones, and volumes that
    were reported more than a day ago are out of date.
    """
    simulated = markets[0].simulated
    reported = [
        market
        for market in markets
        if market.exchange != "index"
        and market.simulated == simulated
        and market.volume_24h is not None
        and market.observed_at > now - DAY
    ]
    exchanges = [market.volume_24h or 0.0 for market in reported if not market.aggregator]
    aggregators = [market.volume_24h or 0.0 for market in reported if market.aggregator]
    return sum(exchanges) if exchanges else max(aggregators, default=None)


def is_stale(row: CoinRow, now: datetime, max_age: timedelta) -> bool:
    """Whether the price is older than the collection explains."""
    return now - row.observed_at > max_age


def _change(market: MarketPrice, history: CoinHistory, window: str, now: datetime) -> float | None:
    """The change over a window in percent; None if the newest price was observed before it."""
    reference = history.references[window]
    if reference is None or market.observed_at <= now - WINDOWS[window]:
        return None
    comparable = reference * market.divisor / history.divisor
    return 100 * (market.price - comparable) / comparable
