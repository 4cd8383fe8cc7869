"""Prices for the pages to show, written as the pipeline would have."""

import math
from datetime import datetime, timedelta

import sqlalchemy as sa

from coinwatch.prices.catalog import record_probes, sync_catalog
from coinwatch.settings import Settings

LAST = {"BTC": 43215.125, "ETH": 2345.678, "SOL": 98.7654, "XRP": 0.523456, "DOGE": 0.0812345}
EXCHANGES = ["coinbase", "coinnews", "kraken"]

INSERT = sa.text("""
  INSERT INTO prices (instrument_id, observed_at, price, volume_24h, bid, ask, received_at)
  SELECT i.id, :observed_at, :price, :volume, :bid, :ask, :observed_at
  FROM instruments i JOIN exchanges e ON e.id = i.exchange_id
  WHERE e.code = :exchange AND i.base = :base AND i.quote = 'USD'
""")


def seed_catalog(engine: sa.Engine, settings: Settings, now: datetime) -> None:
    """Coins and exchanges as after a first start, without a price."""
    sync_catalog(engine, settings)
    record_probes(engine, {code: code in EXCHANGES for code in settings.exchanges}, now)


def seed_market(engine: sa.Engine, settings: Settings, now: datetime) -> None:
    """30 hours of prices every ten minutes; Kraken's are half an hour old, DOGE has none of yesterday."""
    seed_catalog(engine, settings, now)
    with engine.begin() as connection:
        days = {"first": (now - timedelta(days=2)).date(), "last": (now + timedelta(days=1)).date()}
        connection.execute(sa.text("SELECT create_price_partitions(:first, :last)"), days)
        for base, last in LAST.items():
            for number, exchange in enumerate(["index", *EXCHANGES]):
                newest = now - timedelta(seconds=1800 if exchange == "kraken" else 12)
                hours = 3 if base == "DOGE" else 30
                for step in range(hours * 6, -1, -1):
                    price = last * (1 + 0.0001 * number) * (1 + 0.02 * math.sin(step / 15)) * (1 - 0.0001 * step)
                    known = exchange in {"coinbase", "kraken"}
                    row = {
                        "exchange": exchange,
                        "base": base,
                        "observed_at": newest - timedelta(minutes=10 * step),
                        "price": price,
                        "volume": 12345.6 if known else None,
                        "bid": price * 0.9999 if known else None,
                        "ask": price * 1.0001 if known else None,
                    }
                    connection.execute(INSERT, row)
