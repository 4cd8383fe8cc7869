"""The benchmark's data: 5 exchanges with 200 instruments each, 10,000 subscriptions of which 100 fire."""

from pathlib import Path

from tests.exchange_server import ExchangeServer
from tests.exchange_server.market import QUOTE_CURRENCIES, coingecko_id
from tests.support.stack import Stack

EXCHANGES = ("binance", "coinbase", "coingecko", "coinnews", "kraken")
INSTRUMENTS = 200
SUBSCRIPTIONS = 10_000
FIRING = 100
SUBSCRIBE = """
WITH added AS (
  INSERT INTO users (email, verified_at, created_at)
  SELECT 'user' || n || '@example.org', now(), now() FROM generate_series(1, %(subscriptions)s) n
  RETURNING id
), numbered_users AS (
  SELECT id, row_number() OVER (ORDER BY id) AS n FROM added
), watched AS (
  SELECT instrument_id, row_number() OVER (ORDER BY instrument_id) - 1 AS n
  FROM watched_instruments WHERE exchange <> 'index'
)
INSERT INTO subscriptions (user_id, instrument_id, kind, direction, threshold, status, active_from, created_at)
SELECT numbered_users.id, watched.instrument_id, 'change_since_last', 'either',
       CASE WHEN numbered_users.n <= %(firing)s THEN 0.5 ELSE 50 END, 'active', now(), now()
FROM numbered_users JOIN watched ON watched.n = numbered_users.n %% (SELECT count(*) FROM watched)
"""
WATERMARKS = """
INSERT INTO evaluation_watermarks (instrument_id, metric, evaluated_to, last_value, last_at)
SELECT instrument_id, 'price', now(), price, observed_at
FROM latest_quotes WHERE instrument_id IN (SELECT instrument_id FROM subscriptions)
"""


def write_configuration(path: Path, exchange_server: ExchangeServer) -> None:
    """A configuration that watches everything on the exchange server."""
    pairs = {exchange: exchange_server.market.generate(exchange, INSTRUMENTS) for exchange in EXCHANGES}
    bases = sorted({pair.split("/")[0] for listed in pairs.values() for pair in listed})
    lines = ["[coins]"]
    lines += [f'{base} = {{ name = "{base}", coingecko_id = "{coingecko_id(base)}" }}' for base in bases]
    for exchange in EXCHANGES:
        lines += [
            f"[exchanges.{exchange}]",
            f'name = "{exchange}"',
            "enabled = true",
            f'base_url = "{exchange_server.base_url(exchange)}"',
            "minimum_interval_seconds = 0",
            f"instruments = {pairs[exchange]!r}",
        ]
    path.write_text("\n".join(lines) + "\n")


def move_prices(exchange_server: ExchangeServer, percent: float) -> None:
    """Set every price to ``percent`` above its base."""
    for exchange in EXCHANGES:
        for number, listing in enumerate(exchange_server.market.listings(exchange)):
            price = round((1 + number) * (1 + percent / 100), 6)
            exchange_server.market.set_price(exchange, listing.base, QUOTE_CURRENCIES[exchange], price)


def add_subscriptions(stack: Stack) -> None:
    """Add 10,000 users with one subscription each; a change of 1% fires 100 of them."""
    import psycopg

    password = stack.secrets["COINWATCH_POSTGRES_PASSWORD"]
    url = f"postgresql://postgres:{password}@127.0.0.1:{stack.ports['POSTGRES']}/coinwatch"
    with psycopg.connect(url) as connection:
        connection.execute(SUBSCRIBE, {"subscriptions": SUBSCRIPTIONS, "firing": FIRING})
        connection.execute(WATERMARKS)
