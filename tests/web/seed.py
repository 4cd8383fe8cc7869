"""Prices for the pages to show, written like the pipeline does."""

import itertools
import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from coinwatch.prices.candles.refresh import refresh_candles
from coinwatch.prices.catalog import sync_catalog
from coinwatch.settings import Settings
from tests.support.settings import exchange as configured
from tests.support.settings import make_settings

NOW = datetime(2026, 11, 20, 12, 0, 30, tzinfo=UTC)
LAST = {"BTC": 43215.125, "ETH": 2345.678, "SOL": 98.7654, "XRP": 0.523456, "DOGE": 0.0812345}
NAMES = {"BTC": "Bitcoin", "ETH": "Ethereum", "SOL": "Solana", "XRP": "XRP", "DOGE": "Dogecoin"}
PAIRS = [f"{base}/USD" for base in LAST]
EXCHANGES = {
    "coinbase": configured("Coinbase", *PAIRS, base_url="http://127.0.0.1:1"),
    "coinnews": configured("coinnews (simulated)", *PAIRS, simulated=True, base_url="http://127.0.0.1:1"),
    "kraken": configured("Kraken", *PAIRS, "BTC/EUR", base_url="http://127.0.0.1:1"),
}
TOKEN = "operators-token-of-this-test"

INSERT = sa.text("""
  INSERT INTO prices (instrument_id, observed_at, price, volume_24h, bid, ask, received_at)
  SELECT i.id, :observed_at, :price, :volume, :bid, :ask, :observed_at
  FROM instruments i JOIN exchanges e ON e.id = i.exchange_id
  WHERE e.code = :exchange AND i.base = :base AND i.quote = 'USD'
""")

# What the loader stores in addition to the prices.
UPSERT_LATEST = sa.text("""
  INSERT INTO latest_quotes (instrument_id, observed_at, price, volume_24h, bid, ask, received_at)
  SELECT DISTINCT ON (instrument_id) instrument_id, observed_at, price, volume_24h, bid, ask, received_at
  FROM prices ORDER BY instrument_id, observed_at DESC
  ON CONFLICT (instrument_id) DO UPDATE SET (observed_at, price, volume_24h, bid, ask, received_at)
    = (excluded.observed_at, excluded.price, excluded.volume_24h, excluded.bid, excluded.ask, excluded.received_at)
""")
INSERT_STALE_CANDLES = sa.text("""
  INSERT INTO stale_candles (instrument_id, first_at, last_at)
  SELECT instrument_id, min(observed_at), max(observed_at) FROM prices GROUP BY instrument_id
""")


def web_settings(**overrides: object) -> Settings:
    coins = {code: {"name": name} for code, name in NAMES.items()}
    return make_settings(coins=coins, exchanges=EXCHANGES, api_token=TOKEN, **overrides)


def seed_market(engine: sa.Engine, settings: Settings, now: datetime) -> None:
    """30 hours of prices, every ten minutes, and candles. Kraken's are half an hour old; DOGE has only 3 hours."""
    sync_catalog(engine, settings)
    with engine.begin() as connection:
        days = {"first": (now - timedelta(days=2)).date(), "last": (now + timedelta(days=1)).date()}
        connection.execute(sa.text("SELECT create_price_partitions(:first, :last)"), days)
        connection.execute(INSERT, list(_rows(now)))
        connection.execute(UPSERT_LATEST)
        connection.execute(INSERT_STALE_CANDLES)
    refresh_candles(engine)


def _rows(now: datetime) -> Iterator[dict[str, object]]:
    for (base, last), (number, exchange) in itertools.product(LAST.items(), enumerate(["index", *EXCHANGES])):
        newest = now - timedelta(seconds=1800 if exchange == "kraken" else 12)
        with_bid_and_ask = exchange in {"coinbase", "kraken"}
        hours = 3 if base == "DOGE" else 30
        for step in range(hours * 6, -1, -1):
            price = last * (1 + 0.0001 * number) * (1 + 0.02 * math.sin(step / 15)) * (1 - 0.0001 * step)
            yield {
                "exchange": exchange,
                "base": base,
                "observed_at": newest - timedelta(minutes=10 * step),
                "price": price,
                "volume": 12345.6 if with_bid_and_ask else None,
                "bid": price * 0.9999 if with_bid_and_ask else None,
                "ask": price * 1.0001 if with_bid_and_ask else None,
            }
