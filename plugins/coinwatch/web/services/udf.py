"""TradingView's Universal Data Feed (UDF): symbols and bars as its charting library and OpenBB Workspace read them.

Symbols are ``EXCHANGE:BASE/QUOTE``, such as ``KRAKEN:BTC/USD``; ``INDEX`` is the median of all exchanges. Times are
Unix times in seconds. The protocol: https://www.tradingview.com/charting-library-docs/latest/connecting_data/UDF
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine

from coinwatch.codes import code_key
from coinwatch.errors import InvalidRequest, NotFound
from coinwatch.exchanges.models import Candle
from coinwatch.formatting import did_you_mean, price_decimals
from coinwatch.prices.candles.resolutions import WIDTHS, ReadResolution
from coinwatch.prices.candles.series import CandleSeries, find_last_candle, read_candles
from coinwatch.prices.candles.time_grid import EARLIEST, MAX_CANDLES
from coinwatch.prices.history.latest import read_latest_prices
from coinwatch.prices.instrument_lookup import plain_symbol
from coinwatch.web.services.choices import Market, watched_markets

RESOLUTIONS: Mapping[str, ReadResolution] = {
    "1": "1m",
    "5": "5m",
    "15": "15m",
    "60": "1h",
    "240": "4h",
    "1D": "1d",
    "1W": "1w",
    "1M": "1M",
}
# How the library also writes them, depending on its version.
SPELLINGS: Mapping[str, str] = {"D": "1D", "W": "1W", "M": "1M", "1H": "60", "4H": "240"}
MAX_COUNTBACK = 5000
# How much longer each next range is that is searched for ``countback`` bars where there are gaps.
GROWTH = 4


@dataclass(frozen=True, slots=True)
class Bars:
    """Bars of one symbol, oldest first. ``next_time`` is the last bar before the requested ones if there are none."""

    candles: Sequence[Candle]
    next_time: datetime | None = None

    def as_dict(self) -> dict[str, Any]:
        """The columns of the response to ``/history``. Volumes are left out unless all are known."""
        if not self.candles:
            missing: dict[str, Any] = {"s": "no_data"}
            return missing if self.next_time is None else missing | {"nextTime": int(self.next_time.timestamp())}
        columns: dict[str, Any] = {
            "s": "ok",
            "t": [int(candle.opened_at.timestamp()) for candle in self.candles],
            "o": [candle.open for candle in self.candles],
            "h": [candle.high for candle in self.candles],
            "l": [candle.low for candle in self.candles],
            "c": [candle.close for candle in self.candles],
        }
        volumes = [candle.volume for candle in self.candles]
        return columns if None in volumes else columns | {"v": volumes}


def symbol_of(market: Market) -> str:
    """The symbol of a market: ``KRAKEN:BTC/USD``."""
    return f"{market.exchange.upper()}:{market.base}/{market.quote}"


def find_market(engine: Engine, symbol: str) -> Market:
    """The market with a symbol; without an exchange, the index. ``KRAKEN:BTCUSD`` finds ``KRAKEN:BTC/USD``.

    Raises NotFound, which suggests a symbol.
    """
    exchange, _, pair = symbol.strip().rpartition(":")
    wanted = (exchange or "index").casefold(), plain_symbol(pair)
    markets = watched_markets(engine)
    for market in markets:
        if (market.exchange, plain_symbol(market.base + market.quote)) == wanted:
            return market
    hint = did_you_mean(symbol, {symbol_of(market): symbol_of(market) for market in markets})
    raise NotFound(f"Unknown symbol {symbol!r}.{hint or ' List all symbols with /udf/search.'}")


def search_symbols(engine: Engine, query: str, exchange: str, limit: int) -> list[dict[str, str]]:
    """The symbols whose pair, coin name or symbol contains ``query``, the index first; up to ``limit``."""
    wanted = code_key(query)
    found = [
        market
        for market in watched_markets(engine)
        if exchange.casefold() in {"", market.exchange}
        and any(
            wanted in code_key(text)
            for text in (symbol_of(market), plain_symbol(market.base + market.quote), market.coin_name)
        )
    ]
    found.sort(key=lambda market: (market.exchange != "index", code_key(market.base) != wanted))
    return [
        {
            "symbol": f"{market.base}/{market.quote}",
            "full_name": symbol_of(market),
            "ticker": symbol_of(market),
            "description": _description(market),
            "exchange": market.exchange.upper(),
            "type": "crypto",
        }
        for market in found[:limit]
    ]


def describe_symbol(engine: Engine, symbol: str, now: datetime) -> dict[str, Any]:
    """The library's symbol information. Raises NotFound."""
    market = find_market(engine, symbol)
    prices = read_latest_prices(engine, now, coin=market.base, exchange=market.exchange, with_change=False)
    latest = next((price.price for price in prices if price.quote == market.quote), None)
    return {
        "name": f"{market.base}/{market.quote}",
        "full_name": symbol_of(market),
        "ticker": symbol_of(market),
        "description": _description(market),
        "type": "crypto",
        "session": "24x7",
        "timezone": "Etc/UTC",
        "exchange": market.exchange.upper(),
        "listed_exchange": market.exchange.upper(),
        "currency_code": market.quote,
        "format": "price",
        "minmov": 1,
        "pricescale": 10 ** (2 if latest is None else price_decimals(latest)),
        "has_intraday": True,
        "has_daily": True,
        "has_weekly_and_monthly": True,
        "supported_resolutions": list(RESOLUTIONS),
        "volume_precision": 8,
        "data_status": "pulsed",  # updated at intervals
    }


def read_bars(
    engine: Engine, symbol: str, resolution: str, start: int, end: int, countback: int | None, now: datetime
) -> Bars:
    """The bars that open in ``[start, end)``; with ``countback``, that many before ``end``, however far back they are.

    Raises NotFound for an unknown symbol, and InvalidRequest for an unknown resolution or a range of more than
    MAX_CANDLES bars.
    """
    wanted = _parse_resolution(resolution)
    since, until = _moment("from", start), _moment("to", end)
    market = find_market(engine, symbol)
    if countback is None:
        candles: Sequence[Candle] = _read(engine, market, wanted, since, until, now).candles
    else:
        candles = _read_last(engine, market, wanted, until, countback, now)
    if candles:
        return Bars(candles)
    last = find_last_candle(
        engine, market.base, market.exchange, market.quote, resolution=wanted, before=min(since, until)
    )
    return Bars([], last)


def _read_last(
    engine: Engine, market: Market, resolution: ReadResolution, until: datetime, count: int, now: datetime
) -> Sequence[Candle]:
    """The last ``count`` candles before ``until``; a longer range is read while gaps leave too few."""
    length = count
    until = min(until, now)
    while True:
        since = max(EARLIEST, until - length * WIDTHS[resolution])
        candles = _read(engine, market, resolution, since, until, now).candles
        if len(candles) >= count or since == EARLIEST or length == MAX_CANDLES:
            return candles[-count:]
        length = min(length * GROWTH, MAX_CANDLES)


def _read(
    engine: Engine, market: Market, resolution: ReadResolution, since: datetime, until: datetime, now: datetime
) -> CandleSeries:
    return read_candles(
        engine, market.base, market.exchange, market.quote, resolution=resolution, start=since, end=until, now=now
    )


def _parse_resolution(text: str) -> ReadResolution:
    known = RESOLUTIONS.get(SPELLINGS.get(text, text))
    if known is None:
        raise InvalidRequest("resolution", f"resolution is {text!r}; it must be one of {', '.join(RESOLUTIONS)}.")
    return known


def _moment(field: str, seconds: int) -> datetime:
    try:
        return max(EARLIEST, datetime.fromtimestamp(seconds, UTC))
    except (OverflowError, ValueError, OSError):
        raise InvalidRequest(field, f"{field} is {seconds}; it must be a Unix time in seconds.") from None


def _description(market: Market) -> str:
    demo = " (demo prices)" if market.simulated else ""
    return f"{market.coin_name} / {market.quote}, {market.exchange_name}{demo}"
