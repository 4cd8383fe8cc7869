"""CoinGecko: prices averaged over many exchanges, one batched call.

Source: CoinGecko's API documentation, v3. The free ("demo") plan allows 10,000 calls a month; a call every five
minutes stays below that, one every three minutes does not. Answers are cached for 60 s, so ``last_updated_at`` is
asked for: a price that comes twice has the same time and is stored once. The volume is in the quote currency.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import ClassVar
from urllib.parse import quote as url_quote
from urllib.parse import urlsplit

from coinwatch.errors import ExchangeError
from coinwatch.exchanges.base import Adapter, Wire, batch, candle_or_none, complete_candles, try_parse
from coinwatch.exchanges.models import Candle, Instrument, Quote, QuoteBatch, RejectedQuote, RejectionReason
from coinwatch.exchanges.timestamps import from_unix
from coinwatch.exchanges.validation import reject, validate_quote

SIMPLE_PRICE = "/api/v3/simple/price"
COINS_LIST = "/api/v3/coins/list"
IDS_PER_CALL = 250
PRO_HOST = "pro-api.coingecko.com"
CURRENCY = "USD"
# Candle length -> the days to ask for; CoinGecko decides the length by the days, longer ones cost accuracy.
INTERVALS: Mapping[int, int] = {1800: 1, 14400: 30}


# {"id": "bitcoin", "symbol": "btc", "name": "Bitcoin"}
class ListedCoin(Wire):
    """An element of ``/coins/list``."""

    id: str


class CoinGecko(Adapter):
    """The adapter; a symbol is CoinGecko's id of the coin (``coingecko_id`` in the configuration): bitcoin."""

    base_url: ClassVar[str] = "https://api.coingecko.com"
    default_minimum_interval_seconds: ClassVar[float] = 300.0

    def key_headers(self, key: str, base_url: str) -> Mapping[str, str]:
        if not key:
            return {}
        return {"x-cg-pro-api-key" if urlsplit(base_url).hostname == PRO_HOST else "x-cg-demo-api-key": key}

    def symbol_for(self, base: str, quote: str) -> str:
        coin = self._settings.coins.get(base)
        return (coin and coin.coingecko_id) or base.lower()

    def list_instruments(self) -> list[Instrument]:
        """The configured coins that CoinGecko lists, in US dollars: its 15,000 tickers are not unique."""
        coins = [try_parse(ListedCoin, row) for row in self.rows(self.client.get(COINS_LIST).data, COINS_LIST)]
        listed = {coin.id for coin in coins if coin is not None}
        symbols = {base: self.symbol_for(base, CURRENCY) for base in self._settings.coins}
        return [self.instrument(base, CURRENCY, symbol) for base, symbol in symbols.items() if symbol in listed]

    def fetch_quotes(self, instruments: Sequence[Instrument]) -> QuoteBatch:
        results: list[Quote | RejectedQuote] = []
        for first in range(0, len(instruments), IDS_PER_CALL):
            try:
                results += self._fetch_some(instruments[first : first + IDS_PER_CALL])
            except ExchangeError as error:
                return batch(results, error)
        return batch(results)

    def fetch_candles(
        self, instrument: Instrument, interval_seconds: int, start: datetime, end: datetime
    ) -> list[Candle]:
        """See the protocol; 30 minutes for the last day and 4 hours for the last 30 days are all there is."""
        self.interval(INTERVALS, interval_seconds)
        path = f"/api/v3/coins/{url_quote(instrument.symbol, safe='')}/ohlc"
        answer = self.client.get(
            path, {"vs_currency": instrument.quote.lower(), "days": INTERVALS[interval_seconds], "precision": "full"}
        )
        length = timedelta(seconds=interval_seconds)
        candles = [_candle(instrument, row, length) for row in self.rows(answer.data, path)]
        return complete_candles(candles, interval_seconds, start, end, answer.received_at)

    def _fetch_some(self, instruments: Sequence[Instrument]) -> list[Quote | RejectedQuote]:
        answer = self.client.get(
            SIMPLE_PRICE,
            {
                "ids": ",".join(dict.fromkeys(instrument.symbol for instrument in instruments)),
                "vs_currencies": ",".join(dict.fromkeys(instrument.quote.lower() for instrument in instruments)),
                "include_24hr_vol": "true",
                "include_last_updated_at": "true",
                "precision": "full",
            },
        )
        table = self.table(answer.data, SIMPLE_PRICE)
        return [_quote(instrument, table.get(instrument.symbol), answer.received_at) for instrument in instruments]


# {"bitcoin": {"usd": 96412.53, "usd_24h_vol": 38212345678.9, "last_updated_at": 1763618399}}
# The fields are named after the currency, so this payload is a table rather than a struct.
def _quote(instrument: Instrument, fields: object, received_at: datetime) -> Quote | RejectedQuote:
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
    volume = _in_base(fields.get(f"{currency}_24h_vol"), price)
    return validate_quote(instrument, price, received_at, observed_at, volume_24h=volume)


def _in_base(volume: object, price: object) -> float | None:
    try:
        return float(volume) / float(price)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError, ZeroDivisionError):
        return None


# [1763618400000, 96400.0, 96420.0, 96390.0, 96412.53] = [*close* time ms, open, high, low, close]
def _candle(instrument: Instrument, row: object, length: timedelta) -> Candle | None:
    fields = row if isinstance(row, list) and len(row) > 4 else [None] * 5
    return candle_or_none(instrument, lambda: from_unix(fields[0], per_second=1000) - length, fields[1:5])
