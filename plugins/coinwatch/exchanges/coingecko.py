"""CoinGecko: prices averaged over many exchanges, all coins in one request. Documentation: https://docs.coingecko.com.

The free ("demo") plan allows 10,000 calls a month: one call every five minutes fits, one every three minutes does not.
Responses are cached for 60 seconds, so ``last_updated_at`` is requested: a price returned twice has the same timestamp
and is stored once. The volume is in the quote currency.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import ClassVar
from urllib.parse import quote as url_quote
from urllib.parse import urlsplit

from coinwatch.errors import ConfigurationError, ExchangeError
from coinwatch.exchanges.base import Adapter, ArrayPayload
from coinwatch.exchanges.batching import QuoteResult, build_batch, split_into_chunks
from coinwatch.exchanges.candle_grid import complete_candles, parse_candles
from coinwatch.exchanges.models import NO_RATE_LIMIT, Instrument, QuoteBatch, RateLimiter, RawCandle, RejectionReason
from coinwatch.exchanges.timestamps import from_unix
from coinwatch.exchanges.validation import parse_candle, reject, validate_quote
from coinwatch.time_range import TimeRange


# [[1763618400000, 96400.0, 96420.0, 96390.0, 96412.53], ...]
class Ohlc(ArrayPayload):
    """A row of ``/coins/{id}/ohlc``; ``time`` is when the candle *closed*, in milliseconds."""

    time: object
    open: object
    high: object
    low: object
    close: object


class CoinGecko(Adapter):
    """The adapter; a symbol is CoinGecko's id of the coin (``coingecko_id`` in the configuration): bitcoin."""

    base_url: ClassVar[str] = "https://api.coingecko.com"
    pro_host: ClassVar[str] = "pro-api.coingecko.com"
    simple_price_path: ClassVar[str] = "/api/v3/simple/price"
    aggregator: ClassVar[bool] = True
    default_minimum_interval_seconds: ClassVar[float] = 300.0
    max_ids_per_call: ClassVar[int] = 250

    # Candle interval in seconds -> the number of days to request: CoinGecko derives the interval from the days.
    intervals: ClassVar[Mapping[int, int]] = {1800: 1, 14400: 30}

    def key_headers(self, key: str, base_url: str) -> Mapping[str, str]:
        if not key:
            return {}
        return {"x-cg-pro-api-key" if urlsplit(base_url).hostname == self.pro_host else "x-cg-demo-api-key": key}

    def symbol_for(self, base: str, quote: str) -> str:
        coin = self._settings.coins.get(base)
        if coin is None or coin.coingecko_id is None:
            raise ConfigurationError(f"coins.{base}.coingecko_id is not set.")
        return coin.coingecko_id

    def fetch_quotes(self, instruments: Sequence[Instrument]) -> QuoteBatch:
        results: list[QuoteResult] = []
        for chunk in split_into_chunks(instruments, self.max_ids_per_call):
            try:
                results += self._fetch_chunk(chunk)
            except ExchangeError as error:
                return build_batch(results, error)
        return build_batch(results)

    def fetch_candles(
        self,
        instrument: Instrument,
        interval_seconds: int,
        time_range: TimeRange,
        rate_limiter: RateLimiter = NO_RATE_LIMIT,
    ) -> list[RawCandle]:
        """See :class:`Exchange`. CoinGecko offers 30-minute candles of the last day and 4-hour ones of 30 days."""
        self.require_interval(interval_seconds)
        path = f"/api/v3/coins/{url_quote(instrument.symbol, safe='')}/ohlc"
        params: dict[str, str | int] = {
            "vs_currency": instrument.quote.lower(),
            "days": self.intervals[interval_seconds],
            "precision": "full",
        }
        rate_limiter.acquire()
        response = self.client.get(path, params)
        interval = timedelta(seconds=interval_seconds)

        def parse(row: object) -> RawCandle:
            ohlc = Ohlc.model_validate(row)
            opened_at = from_unix(ohlc.time, per_second=1000) - interval
            return parse_candle(opened_at, (ohlc.open, ohlc.high, ohlc.low, ohlc.close))

        candles = parse_candles(instrument, self.parse_list(response.data, path), parse)
        return complete_candles(candles, interval_seconds, time_range, response.sent_at)

    def _fetch_chunk(self, instruments: Sequence[Instrument]) -> list[QuoteResult]:
        response = self.client.get(
            self.simple_price_path,
            {
                "ids": ",".join(dict.fromkeys(instrument.symbol for instrument in instruments)),
                "vs_currencies": ",".join(dict.fromkeys(instrument.quote.lower() for instrument in instruments)),
                "include_24hr_vol": "true",
                "include_last_updated_at": "true",
                "precision": "full",
            },
        )
        table = self.parse_object(response.data, self.simple_price_path)
        return [_parse_quote(each, table.get(each.symbol), response.received_at) for each in instruments]


# {"bitcoin": {"usd": 96412.53, "usd_24h_vol": 38212345678.9, "last_updated_at": 1763618399}}
# The names of the fields contain the currency, so a coin's value is a plain dict and not a Payload.
def _parse_quote(instrument: Instrument, fields: object, received_at: datetime) -> QuoteResult:
    currency = instrument.quote.lower()
    if fields is None:
        return reject(instrument, RejectionReason.UNKNOWN_SYMBOL, instrument.symbol)
    if not isinstance(fields, dict):
        return reject(instrument, RejectionReason.MALFORMED, fields)
    if currency not in fields:
        return reject(instrument, RejectionReason.UNKNOWN_SYMBOL, instrument.pair)
    try:
        observed_at = from_unix(fields.get("last_updated_at"))
    except ValueError:
        return reject(instrument, RejectionReason.MALFORMED, fields)
    price = fields[currency]
    volume = _volume_in_base(fields.get(f"{currency}_24h_vol"), price)
    return validate_quote(instrument, price, received_at, observed_at, volume_24h=volume)


def _volume_in_base(volume: object, price: object) -> float | None:
    try:
        return float(volume) / float(price)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError, ZeroDivisionError):
        return None
