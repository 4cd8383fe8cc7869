"""Quotes for tests: observed at whole minutes after START."""

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from coinwatch.database import transaction
from coinwatch.exchanges.models import Instrument, Quote
from coinwatch.prices.catalog import list_watched_instruments
from coinwatch.prices.ingest.loading import LoadResult, load_quotes

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
MONTH = timedelta(days=30)


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def instrument(exchange: str = "kraken", pair: str = "BTC/USD") -> Instrument:
    base, _, quote = pair.partition("/")
    symbols = {"coinnews": base, "coinbase": f"{base}-{quote}", "binance": f"{base}{quote}", "index": pair}
    return Instrument(exchange, base, quote, symbols.get(exchange, f"{'XBT' if base == 'BTC' else base}/{quote}"))


def quote(price: float, minutes: float, exchange: str = "kraken", pair: str = "BTC/USD", **more: float) -> Quote:
    return Quote(instrument(exchange, pair), price, at(minutes), at(minutes), **more)


def load(engine: sa.Engine, *quotes: Quote, now: datetime | None = None) -> LoadResult:
    """Load quotes of any exchange through the library's loader; instruments are found by pair."""
    with transaction(engine) as connection:
        exchanges = {quote.instrument.exchange for quote in quotes}
        ids = {
            (known.exchange, known.pair): number
            for exchange in exchanges
            for known, number in list_watched_instruments(connection, exchange).items()
        }
    found = {quote.instrument: ids[quote.instrument.exchange, quote.instrument.pair] for quote in quotes}
    moment = now or max(quote.observed_at for quote in quotes)
    return load_quotes(engine, found, quotes, now=moment, max_age=MONTH)
