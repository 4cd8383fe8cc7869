"""A market of any number of coins: an index and three exchanges for each, a month of hours and two days of minutes."""

from datetime import datetime

from sqlalchemy import Engine, text

from coinwatch.database import transaction

EXCHANGES = 3
# Prices are spread over nine orders of magnitude and follow a sine per coin; BTC and ETH are the first two coins.
STATEMENTS = (
    """INSERT INTO exchanges (code, name, enabled) VALUES ('index', 'Index (median of exchanges)', true),
         ('coinbase', 'Coinbase', true), ('kraken', 'Kraken', true), ('binance', 'Binance', true)
       ON CONFLICT (code) DO NOTHING""",
    """INSERT INTO exchange_status (exchange_id, last_attempt_at, last_success_at)
         SELECT id, :now, :now FROM exchanges WHERE code <> 'index' ON CONFLICT DO NOTHING""",
    """INSERT INTO coins (code, name, position)
         SELECT CASE n WHEN 1 THEN 'BTC' WHEN 2 THEN 'ETH' ELSE 'C' || n END, 'Coin number ' || n, n
         FROM generate_series(1, :coins) n ON CONFLICT (code) DO NOTHING""",
    """INSERT INTO instruments (exchange_id, base, quote, symbol)
         SELECT e.id, c.code, 'USD', c.code FROM exchanges e, coins c ORDER BY e.id, c.id ON CONFLICT DO NOTHING""",
    """INSERT INTO instruments (exchange_id, base, quote, symbol)
         SELECT id, 'BTC', 'EUR', 'BTCEUR' FROM exchanges WHERE code = 'kraken' ON CONFLICT DO NOTHING""",
    """CREATE TEMPORARY TABLE level ON COMMIT DROP AS
         SELECT i.id, 10 ^ (5 - c.position % 9) * (1 + c.position % 7)
                * CASE i.quote WHEN 'EUR' THEN 0.92 ELSE 1 END AS price
         FROM instruments i JOIN coins c ON c.code = i.base""",
    """INSERT INTO latest_quotes (instrument_id, observed_at, price, volume_24h, received_at)
         SELECT id, CAST(:now AS timestamptz) - interval '20 seconds', price, 1e9 / price,
                CAST(:now AS timestamptz) - interval '10 seconds' FROM level ON CONFLICT DO NOTHING""",
    """INSERT INTO candles (instrument_id, resolution, opened_at, open, high, low, close, volume, source)
         SELECT id, CAST(r.name AS candle_resolution), t, v.close, v.close * 1.001, v.close * 0.999, v.close, 1,
                'exchange'
         FROM (VALUES ('1h', interval '1 hour', interval '30 days'), ('1m', '1 minute', '2 days'))
                AS r (name, width, span),
              generate_series(date_bin(r.width, CAST(:now AS timestamptz) - r.span, '2000-01-01 00:00+00'),
                              CAST(:now AS timestamptz) - r.width, r.width) t, level,
              LATERAL (SELECT price * (1 + 0.05 * sin(extract(epoch FROM t) / 40000 + id)
                                         + 0.01 * sin(extract(epoch FROM t) / 5000 + 3 * id)) AS close) v
         WHERE r.name = '1h' OR EXISTS (SELECT FROM instruments i JOIN exchanges e ON e.id = i.exchange_id
                                        WHERE i.id = level.id AND e.code = 'index')
         ON CONFLICT DO NOTHING""",
)


def fill_market(engine: Engine, coins: int, now: datetime) -> None:
    """Fill an empty, migrated database with prices and candles of this many coins up to ``now``."""
    with transaction(engine) as connection:
        for statement in STATEMENTS:
            connection.execute(text(statement), {"now": now, "coins": coins})
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))
