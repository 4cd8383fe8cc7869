"""Kraken spot: public market data, no API key. Documentation: https://docs.kraken.com/api/.

Errors arrive in ``error[]`` with HTTP 200. Kraken has codes of its own (XBT, XDG, LUNA2), and prefixes the names of its
oldest pairs (XXBTZUSD). Only ``wsname`` in AssetPairs (XBT/USD) shows base and quote reliably.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import ClassVar

from pydantic import Field

from coinwatch.errors import ExchangeDenied, ExchangeError, ExchangeUnavailable, UnknownSymbol
from coinwatch.exchanges.base import Adapter, ArrayPayload, Payload
from coinwatch.exchanges.batching import QuoteResult, build_batch
from coinwatch.exchanges.candle_grid import complete_candles, parse_candles
from coinwatch.exchanges.excerpts import excerpt
from coinwatch.exchanges.http_client import rate_limited
from coinwatch.exchanges.models import NO_RATE_LIMIT, Instrument, QuoteBatch, RateLimiter, RawCandle, RejectionReason
from coinwatch.exchanges.timestamps import from_unix
from coinwatch.exchanges.trading_status import reject_not_trading, trading_status
from coinwatch.exchanges.validation import parse_candle, parse_number, reject, validate_quote
from coinwatch.time_range import TimeRange


# {"error": ["EQuery:Unknown asset pair"], "result": {...}}
class Envelope(Payload):
    """Every response; an ``error`` that starts with W is only a warning."""

    error: list[str] = Field(default_factory=list)
    result: object = None


# {"XXBTZUSD": {"altname": "XBTUSD", "wsname": "XBT/USD", "base": "XXBT", "quote": "ZUSD", "status": "online"}}
class AssetPair(Payload):
    """A value of ``/0/public/AssetPairs``; dark pools have no ``wsname``."""

    wsname: str = ""
    status: str = "online"


# {"XXBTZUSD": {"a": ["96412.6", "1", "1.000"], "b": ["96412.5", "2", "2.000"], "c": ["96412.6", "0.0012"],
#               "v": ["512.1", "2345.6"], "o": "95800.0"}}
class Ticker(Payload):
    """A value of ``/0/public/Ticker``: ask, bid, last trade, volume in base [today, last 24 hours]. No timestamp."""

    a: list[object] = Field(default_factory=list)
    b: list[object] = Field(default_factory=list)
    c: list[object] = Field(min_length=1)
    v: list[object] = Field(default_factory=list)


# {"XXBTZUSD": [[1763618400, "96400.0", "96420.0", "96390.0", "96412.5", "96405.1", "12.34500000", 204], ...],
#  "last": 1763618340}
class Ohlc(ArrayPayload):
    """A row of ``/0/public/OHLC``: ``time`` in seconds, ``volume`` in base, ``count`` of trades."""

    time: object
    open: object
    high: object
    low: object
    close: object
    vwap: object
    volume: object
    count: object


class Kraken(Adapter):
    """The adapter; a symbol is Kraken's ``altname``: XBTUSD."""

    base_url: ClassVar[str] = "https://api.kraken.com"
    table_of_codes: ClassVar[str] = "kraken"
    asset_pairs_path: ClassVar[str] = "/0/public/AssetPairs"
    ticker_path: ClassVar[str] = "/0/public/Ticker"
    ohlc_path: ClassVar[str] = "/0/public/OHLC"

    max_pairs_per_call: ClassVar[int] = 500  # the URL gets too long above that; without names, Kraken returns all pairs

    # Candle intervals in seconds; Kraken counts in minutes.
    intervals: ClassVar[Mapping[int, int]] = {
        minutes * 60: minutes for minutes in (1, 5, 15, 30, 60, 240, 1440, 10080, 21600)
    }
    candles_kept: ClassVar[int] = 720  # per interval, including the newest, which is not final yet
    candles_per_call = candles_kept
    default_history_calls_per_second: ClassVar[float] = 0.5  # about one call a second is allowed

    rate_limit_delays: ClassVar[Mapping[str, timedelta]] = {
        "EAPI:Rate limit exceeded": timedelta(seconds=15),
        "EGeneral:Too many requests": timedelta(seconds=60),
        "EGeneral:Temporary lockout": timedelta(minutes=15),
    }
    throttled_error: ClassVar[re.Pattern[str]] = re.compile(r"EService: ?Throttled: ?(\d+)")  # until a Unix timestamp
    longest_throttle: ClassVar[timedelta] = timedelta(hours=1)
    denied_errors: ClassVar[tuple[str, ...]] = (
        "EAPI:Invalid key",
        "EGeneral:Permission denied",
        "EGeneral:Invalid arguments",
        "EQuery:",
    )

    def symbol_for(self, base: str, quote: str) -> str:
        return self.own_code(base) + self.own_code(quote)

    def fetch_candles(
        self,
        instrument: Instrument,
        interval_seconds: int,
        time_range: TimeRange,
        rate_limiter: RateLimiter = NO_RATE_LIMIT,
    ) -> list[RawCandle]:
        """See :class:`Exchange`. Kraken returns the last 720 candles of each interval; older ones cannot be fetched."""
        self.require_interval(interval_seconds)
        rate_limiter.acquire()
        result, received_at = self._get(
            self.ohlc_path,
            {
                "pair": instrument.symbol,
                "interval": self.intervals[interval_seconds],
                "since": int(time_range.start.timestamp()) - 1,  # Kraken returns candles that open after ``since``
            },
        )
        table = self.parse_object(result, self.ohlc_path)
        rows = self.parse_list(next((rows for key, rows in table.items() if key != "last"), None), self.ohlc_path)
        candles = parse_candles(instrument, rows[:-1], _parse_candle)  # the last row is still being traded
        return complete_candles(candles, interval_seconds, time_range, received_at)

    def candle_retention(self, interval_seconds: int) -> timedelta | None:
        # Two fewer than Kraken keeps: the newest is not final, and the oldest may drop out during the request.
        return timedelta(seconds=interval_seconds) * (self.candles_kept - 2)

    def fetch_quotes(self, instruments: Sequence[Instrument]) -> QuoteBatch:
        if not instruments:  # a request without names would return all pairs
            return QuoteBatch()
        pairs = self._find_pairs(instruments)
        results: list[QuoteResult] = []
        keys: dict[Instrument, str] = {}
        for instrument in instruments:
            if instrument not in pairs:
                results.append(reject(instrument, RejectionReason.UNKNOWN_SYMBOL, instrument.symbol))
                continue
            key, pair = pairs[instrument]
            if (status := trading_status(pair.status)) is not None:
                results.append(reject_not_trading(instrument, status, pair.status))
            else:
                keys[instrument] = key
        if not keys:
            return build_batch(results)
        try:
            params = self._pair_params(list(keys.values()))
            result, received_at = self._get(self.ticker_path, params)
            tickers = self.parse_object(result, self.ticker_path)
        except ExchangeError as error:
            return build_batch(results, error)
        return build_batch(results + [_parse_quote(each, tickers.get(key), received_at) for each, key in keys.items()])

    def _find_pairs(self, instruments: Sequence[Instrument]) -> dict[Instrument, tuple[str, AssetPair]]:
        """For each instrument that Kraken lists, its key in the response of Ticker, and its pair."""
        try:
            pairs = self._fetch_asset_pairs([instrument.symbol for instrument in instruments])
        except UnknownSymbol:
            pairs = self._fetch_asset_pairs([])  # Kraken does not say which one is unknown
        # By wsname, because only it separates base and quote: the other names may belong to another coin's pair.
        by_wsname = {pair.wsname: (key, pair) for key, pair in pairs.items() if pair.wsname}
        found: dict[Instrument, tuple[str, AssetPair]] = {}
        for instrument in instruments:
            key_and_pair = by_wsname.get(f"{self.own_code(instrument.base)}/{self.own_code(instrument.quote)}")
            if key_and_pair is not None:
                found[instrument] = key_and_pair
        return found

    def _fetch_asset_pairs(self, symbols: Sequence[str]) -> dict[str, AssetPair]:
        """The pairs with these names, or all pairs; raises UnknownSymbol if Kraken does not list one of them."""
        result, _ = self._get(self.asset_pairs_path, self._pair_params(symbols))
        parsed = {
            key: AssetPair.try_parse(row) for key, row in self.parse_object(result, self.asset_pairs_path).items()
        }
        return {key: pair for key, pair in parsed.items() if pair is not None}

    def _pair_params(self, names: Sequence[str]) -> dict[str, str | int]:
        return {"pair": ",".join(names)} if 0 < len(names) <= self.max_pairs_per_call else {}

    def _get(self, path: str, params: Mapping[str, str | int]) -> tuple[object, datetime]:
        """The ``result`` of a call and when it was received; raises the ExchangeError for an error in ``error[]``."""
        response = self.client.get(path, params)
        envelope = self.parse(Envelope, response.data, path)
        errors = [error for error in envelope.error if not error.startswith("W")]
        if errors:
            raise self._error(path, errors[0], response.received_at)
        return envelope.result, response.received_at

    def _error(self, path: str, error: str, now: datetime) -> ExchangeError:
        text = excerpt(error)
        for start, delay in self.rate_limit_delays.items():
            if error.startswith(start):
                return rate_limited(self.code, now + delay, text)
        if (throttled := self.throttled_error.match(error)) is not None:
            until = min(from_unix(throttled[1][:12]), now + self.longest_throttle)
            return rate_limited(self.code, max(until, now + timedelta(seconds=1)), text)
        if error.startswith("EQuery:Unknown asset pair"):
            return UnknownSymbol(self.code, f"unknown symbol ({path}: {text})")
        if error.startswith(self.denied_errors):
            return ExchangeDenied(self.code, f"{path} was denied: {text}")
        return ExchangeUnavailable(self.code, f"{path} failed: {text}")


def _parse_quote(instrument: Instrument, row: object, received_at: datetime) -> QuoteResult:
    if row is None:
        return reject(instrument, RejectionReason.UNKNOWN_SYMBOL, instrument.symbol)
    ticker = Ticker.try_parse(row)
    if ticker is None:
        return reject(instrument, RejectionReason.MALFORMED, row)
    return validate_quote(
        instrument,
        ticker.c[0],
        received_at,
        volume_24h=ticker.v[1] if len(ticker.v) > 1 else None,
        bid=ticker.b[0] if ticker.b else None,
        ask=ticker.a[0] if ticker.a else None,
    )


def _parse_candle(row: object) -> RawCandle:
    ohlc = Ohlc.model_validate(row)
    prices = (ohlc.open, ohlc.high, ohlc.low, ohlc.close)
    vwap, volume = parse_number(ohlc.vwap), parse_number(ohlc.volume)
    traded = vwap * volume if vwap is not None and volume is not None else None
    return parse_candle(from_unix(ohlc.time), prices, volume, ohlc.count, traded)
