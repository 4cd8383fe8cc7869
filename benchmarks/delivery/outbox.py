"""An outbox full of alert emails, and a day of prices for the charts in them."""

from datetime import UTC, datetime, timedelta

from benchmarks.shared.market import PRICE, VOLUME
from benchmarks.shared.postgres import Database
from coinwatch.prices.candles.refresh import refresh_candles
from coinwatch.prices.ingest.partitions import ensure_partitions

FIRED_AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
CHARTS = 10  # instruments that fired
DAY_MINUTES = 1440
PRICES = f"""
INSERT INTO prices (instrument_id, observed_at, price, volume_24h, received_at)
SELECT i, moment, price, volume, moment FROM (
  SELECT i, n, %(start)s + n * interval '1 minute' AS moment, {PRICE.replace("%", "%%")} AS price,
         {VOLUME.replace("%", "%%")} AS volume
  FROM generate_series(0::bigint, {DAY_MINUTES}) n, generate_series(1, {CHARTS}) i
  ORDER BY n, i
) made
"""
STALE = "INSERT INTO stale_candles (instrument_id, first_at, last_at) SELECT i, %s, %s FROM generate_series(1, %s) i"
RECIPIENTS = """
INSERT INTO users (email, verified_at, created_at)
SELECT 'person' || n || '@example.org', %(now)s, %(now)s FROM generate_series(1, %(emails)s) n
"""
# One alert per email, as sql/notifications/queue_alerts.sql writes it; recipients have four time zones and four
# thresholds.
EMAILS = """
INSERT INTO outbox (dedupe_key, user_id, recipient, kind, payload, next_attempt_at, created_at)
SELECT 'alerts:' || id || ':' || id, id, email, 'alerts', jsonb_build_object(
         'timezone', (ARRAY['UTC', 'Europe/Berlin', 'America/New_York', 'Asia/Tokyo'])[1 + id %% 4],
         'held', NULL, 'limit_reached', NULL,
         'alerts', jsonb_build_array(jsonb_build_object(
           'alert_id', id, 'subscription_id', id, 'instrument_id', 1 + id %% %(charts)s,
           'observed_at', %(now)s, 'price', 68923.67, 'reference', 65516.2, 'reference_at', %(before)s,
           'change_percent', 5.2, 'late', false, 'kind', 'change_over_window', 'metric', 'price',
           'window_seconds', 600, 'threshold', 2 + id / 40 %% 4, 'direction', 'either', 'exchange', 'kraken',
           'exchange_name', 'Kraken', 'base', 'C' || 1 + id %% %(charts)s, 'quote', 'USD',
           'coin_name', 'Coin ' || 1 + id %% %(charts)s))),
       %(now)s, %(now)s
FROM users ORDER BY id
"""
SENT = "SELECT count(*) FILTER (WHERE status = 'sent' AND attempts = 1), extract(epoch FROM max(sent_at)) FROM outbox"


def fill_prices(database: Database) -> None:
    """Add a price per minute for the day before the alerts, with candles."""
    start = FIRED_AT - timedelta(minutes=DAY_MINUTES)
    engine = database.engine()
    ensure_partitions(engine, {start.date(), FIRED_AT.date()})
    with database.admin() as connection:
        connection.execute(PRICES, {"start": start})
        connection.execute(STALE, [start, FIRED_AT, CHARTS])
    refresh_candles(engine)
    engine.dispose()


def fill_outbox(database: Database, emails: int) -> None:
    """Fill the outbox with this many due emails, each to a different recipient."""
    with database.admin() as connection:
        connection.execute("TRUNCATE users, outbox RESTART IDENTITY CASCADE")
        connection.execute(RECIPIENTS, {"now": FIRED_AT, "emails": emails})
        connection.execute(EMAILS, {"now": FIRED_AT, "before": FIRED_AT - timedelta(minutes=10), "charts": CHARTS})
        connection.execute("VACUUM ANALYZE users, outbox")
        connection.execute("CHECKPOINT")


def sent_until(database: Database, emails: int) -> float:
    """The time.time() at which the last email was marked. Raises RuntimeError unless all were sent at once."""
    with database.admin() as connection:
        found = connection.execute(SENT).fetchone()
    if found is None or found[0] != emails:
        raise RuntimeError(f"{found and found[0]} of {emails} emails were sent at the first attempt")
    return float(str(found[1]))
