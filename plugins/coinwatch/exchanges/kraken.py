"""Kraken spot, public market data.

Source: Kraken's REST documentation. Errors come in ``error[]`` with HTTP 200. Kraken calls bitcoin XBT and
dogecoin XDG, and names old pairs with prefixes (XXBTZUSD); ``wsname`` (XBT/USD) in ``AssetPairs`` is the one name
that says base and quote plainly.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import ClassVar

from pydantic import Field

from coinwatch.errors import ExchangeDenied, ExchangeError, ExchangeUnavailable, RateLimited, UnknownSymbol
from coinwatch.exchanges.base import Adapter, Wire, batch, candle_or_none, complete_candles, try_parse
from coinwatch.exchanges.models import Candle, Instrument, Quote, QuoteBatch, RejectedQuote, RejectionReason
from coinwatch.exchanges.timestamps import from_unix
from coinwatch.exchanges.validation import reject, validate_quote

ASSET_PAIRS = "/0/public/AssetPairs"
TICKER = "/0/public/Ticker"
OHLC = "/0/public/OHLC"

OUR_CODES: Mapping[str, str] = {"XBT": "BTC", "XDG": "DOGE"}
THEIR_CODES: Mapping[str, str] = {ours: theirs for theirs, ours in OUR_CODES.items()}
CANDLES_KEPT = 720  # of each length; the newest of them is not committed
NAMES_PER_CALL = 500  # above that the address gets too long, and the whole market is asked for
INTERVALS: Mapping[int, int] = {minutes * 60: minutes for minutes in (1, 5, 15, 30, 60, 240, 1440, 10080, 21600)}

# Kraken's words for "slow down", with the pause that each deserves.
PAUSES: Mapping[str, timedelta] = {
    "EAPI:Rate limit exceeded": timedelta(seconds=15),
    "EGeneral:Too many requests": timedelta(seconds=60),
    "EGeneral:Temporary lockout": timedelta(minutes=15),
}
THROTTLED = re.compile(r"EService: ?Throttled: ?(\d+)")
LONGEST_PAUSE = timedelta(hours=1)
FOR_A_PERSON = ("EAPI:Invalid key", "EGeneral:Permission denied", "EGeneral:Invalid arguments", "EQuery:")


# {"error": [], "result": {…}}
class Envelope(Wire):
    """Around every answer; an element of ``error`` that begins with W is a mere warning."""

    error: list[str] = Field(default_factory=list)
    result: object = None


# {"altname": "XBTUSD", "wsname": "XBT/USD", "base": "XXBT", "quote": "ZUSD", "status": "online"} under "XXBTZUSD"
class AssetPair(Wire):
    """A value of ``AssetPairs``; dark pools have no ``wsname``."""

    altname: str
    wsname: str = ""
    status: str = "online"


# {"a": ["96412.6", "1", "1.000"], "b": ["96412.5", "2", "2.000"], "c": ["96412.6", "0.0012"],
#  "v": ["512.1", "2345.6"], "o": "95800.0"} under "XXBTZUSD"
class Ticker(Wire):
    """A value of ``Ticker``: ask, bid, last trade, volume [today, 24 hours] in base. It carries no time."""

    a: list[object] = Field(default_factory=list)
    b: list[object] = Field(default_factory=list)
    c: list[object] = Field(min_length=1)
    v: list[object] = Field(default_factory=list)


class Kraken(Adapter):
    """The adapter; a symbol is Kraken's ``altname``: XBTUSD."""

    base_url: ClassVar[str] = "https://api.kraken.com"
    candle_intervals = (60, 3600, 86400)
    candles_per_call = CANDLES_KEPT
    default_history_calls_per_second: ClassVar[float] = 0.5  # about one call a second is allowed

    def symbol_for(self, base: str, quote: str) -> str:
        return THEIR_CODES.get(base, base) + THEIR_CODES.get(quote, quote)

    def list_instruments(self) -> list[Instrument]:
        pairs = self._asset_pairs()
        instruments = []
        for pair in pairs.values():
            base, slash, quote = pair.wsname.partition("/")
            if slash and pair.status == "online":
                instruments.append(
                    self.instrument(OUR_CODES.get(base, base), OUR_CODES.get(quote, quote), pair.altname)
                )
        return instruments

    def fetch_quotes(self, instruments: Sequence[Instrument]) -> QuoteBatch:
        if not instruments:  # Kraken would take no names for all names
            return QuoteBatch()
        keys = self._keys(instruments)
        known = [instrument for instrument in instruments if instrument in keys]
        results: list[Quote | RejectedQuote] = [
            reject(instrument, RejectionReason.UNKNOWN_SYMBOL, instrument.symbol)
            for instrument in instruments
            if instrument not in keys
        ]
        if not known:
            return batch(results)
        try:
            answer, received_at = self._ask(TICKER, _pair_parameter([keys[instrument] for instrument in known]))
            tickers = self.table(answer, TICKER)
        except ExchangeError as error:
            return batch(results, error)
        return batch(results + [_quote(each, tickers.get(keys[each]), received_at) for each in known])

    def fetch_candles(
        self, instrument: Instrument, interval_seconds: int, start: datetime, end: datetime
    ) -> list[Candle]:
        """See the protocol; Kraken keeps the last 720 candles of each length only, older ones are not there."""
        self.interval(INTERVALS, interval_seconds)
        self.before_history_call(None)
        since = int(start.timestamp()) - 1  # Kraken answers with what is later than ``since``
        result, received_at = self._ask(
            OHLC, {"pair": instrument.symbol, "interval": INTERVALS[interval_seconds], "since": since}
        )
        table = self.table(result, OHLC)
        rows = next((rows for name, rows in table.items() if name != "last"), None)
        committed = self.rows(rows, OHLC)[:-1]  # the last one is still being traded
        candles = [_candle(instrument, row) for row in committed]
        return complete_candles(candles, interval_seconds, start, end, received_at)

    def candle_retention(self, interval_seconds: int) -> timedelta | None:
        """Two fewer than are kept: the newest is not committed, and the oldest may fall out while we ask."""
        return timedelta(seconds=interval_seconds) * (CANDLES_KEPT - 2)

    def _keys(self, instruments: Sequence[Instrument]) -> dict[Instrument, str]:
        """The name under which Ticker answers, for every instrument that Kraken knows."""
        try:
            pairs = self._asset_pairs([instrument.symbol for instrument in instruments])
        except UnknownSymbol:
            pairs = self._asset_pairs()
        names: dict[str, str] = {}
        for key, pair in pairs.items():
            names |= {key: key, pair.altname: key, pair.wsname: key}
        names.pop("", None)
        found: dict[Instrument, str] = {}
        for instrument in instruments:
            plain = "/".join(THEIR_CODES.get(code, code) for code in (instrument.base, instrument.quote))
            name = names.get(instrument.symbol) or names.get(plain)
            if name is not None:
                found[instrument] = name
        return found

    def _asset_pairs(self, symbols: Sequence[str] = ()) -> dict[str, AssetPair]:
        """The pairs called ``symbols``, or all; UnknownSymbol when one is unknown, Kraken does not say which."""
        result, _ = self._ask(ASSET_PAIRS, _pair_parameter(symbols))
        parsed = {key: try_parse(AssetPair, row) for key, row in self.table(result, ASSET_PAIRS).items()}
        return {key: pair for key, pair in parsed.items() if pair is not None}

    def _ask(self, path: str, params: Mapping[str, str | int]) -> tuple[object, datetime]:
        """The ``result`` of a call and when it came; errors in ``error[]`` are raised as ours."""
        answer = self.client.get(path, params)
        envelope = self.parse(Envelope, answer.data, path)
        errors = [error for error in envelope.error if not error.startswith("W")]
        if errors:
            raise self._error(path, errors[0], answer.received_at)
        return envelope.result, answer.received_at

    def _error(self, path: str, error: str, now: datetime) -> ExchangeError:
        text = " ".join(error.split())[:120]
        for words, pause in PAUSES.items():
            if error.startswith(words):
                return RateLimited(self.code, f"asks for a pause ({text})", now + pause)
        if (throttled := THROTTLED.match(error)) is not None:
            blocked_until = min(from_unix(throttled[1][:12]), now + LONGEST_PAUSE)
            return RateLimited(self.code, f"asks for a pause ({text})", max(blocked_until, now + timedelta(seconds=1)))
        if error.startswith("EQuery:Unknown asset pair"):
            return UnknownSymbol(self.code, f"{path} does not know a pair that was asked for ({text})")
        if error.startswith(FOR_A_PERSON):
            return ExchangeDenied(self.code, f"rejects {path} ({text})")
        return ExchangeUnavailable(self.code, f"{path} failed on its side ({text})")


def _pair_parameter(names: Sequence[str]) -> dict[str, str | int]:
    return {"pair": ",".join(names)} if 0 < len(names) <= NAMES_PER_CALL else {}


def _quote(instrument: Instrument, row: object, received_at: datetime) -> Quote | RejectedQuote:
    if row is None:
        return reject(instrument, RejectionReason.UNKNOWN_SYMBOL, instrument.symbol)
    ticker = try_parse(Ticker, row)
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


# [1763618400, "96400.0", "96420.0", "96390.0", "96412.5", "96405.1", "12.34500000", 204]
# = [time s, open, high, low, close, volume-weighted average, volume in base, trades]
def _candle(instrument: Instrument, row: object) -> Candle | None:
    fields = row if isinstance(row, list) and len(row) > 7 else [None] * 8
    return candle_or_none(instrument, lambda: from_unix(fields[0]), fields[1:5], fields[6], fields[7])
