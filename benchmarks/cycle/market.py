"""The cycle's surroundings: 5 exchanges with 200 instruments each, 10,000 subscriptions of which 100 fire."""

from pathlib import Path

from tests.exchange_server import ExchangeServer
from tests.exchange_server.market import QUOTE_CURRENCIES, coingecko_id
from tests.support.stack import Stack

VENUES = ("binance", "coinbase", "coingecko", "coinnews", "kraken")
INSTRUMENTS = 200
SUBSCRIPTIONS = 10_000
FIRING = 100
SUBSCRIBE = """
WITH added AS (
  INSERT INTO users (email, verified_at, created_at)
  SELECT 'person' || n || '@example.org', now(), now() FROM generate_series(1, %(subscriptions)s) n
  RETURNING id
), people AS (
  SELECT id, row_number() OVER (ORDER BY id) AS n FROM added
), watched AS (
  SELECT instrument_id, row_number() OVER (ORDER BY instrument_id) - 1 AS n
  FROM watched_instruments WHERE exchange <> 'index'
)
INSERT INTO subscriptions (user_id, instrument_id, kind, direction, threshold, status, active_from, created_at)
SELECT people.id, watched.instrument_id, 'change_since_last', 'either',
       CASE WHEN people.n <= %(firing)s THEN 0.5 ELSE 50 END, 'active', now(), now()
FROM people JOIN watched ON watched.n = people.n %% (SELECT count(*) FROM watched)
"""
WATERMARKS = "INSERT INTO evaluation_watermarks (instrument_id, metric, evaluated_to) SELECT DISTINCT instrument_id, 'price', now() FROM subscriptions"


def write_configuration(path: Path, exchange_server: ExchangeServer) -> None:
    """A configuration that watches everything the far end lists."""
    pairs = {venue: exchange_server.market.generate(venue, INSTRUMENTS) for venue in VENUES}
    bases = sorted({pair.split("/")[0] for listed in pairs.values() for pair in listed})
    lines = ["[coins]"]
    lines += [f'{base} = {{ name = "{base}", coingecko_id = "{coingecko_id(base)}" }}' for base in bases]
    for venue in VENUES:
        lines += [
            f"[exchanges.{venue}]",
            f'name = "{venue}"',
            "enabled = true",
            f'base_url = "{exchange_server.base_url(venue)}"',
            "minimum_interval_seconds = 0",
            f"instruments = {pairs[venue]!r}",
        ]
    path.write_text("\n".join(lines) + "\n")


def move_prices(exchange_server: ExchangeServer, percent: float) -> None:
    """Every price is ``percent`` above its base."""
    for venue in VENUES:
        for number, listing in enumerate(exchange_server.market.listings(venue)):
            price = round((1 + number) * (1 + percent / 100), 6)
            exchange_server.market.set_price(venue, listing.base, QUOTE_CURRENCIES[venue], price)


def subscribe_people(stack: Stack) -> None:
    """10,000 people with a subscription each; a move of 1 % reaches 100 of them."""
    import psycopg

    password = stack.secrets["COINWATCH_POSTGRES_PASSWORD"]
    url = f"postgresql://postgres:{password}@127.0.0.1:{stack.ports['POSTGRES']}/coinwatch"
    with psycopg.connect(url) as connection:
        connection.execute(SUBSCRIBE, {"subscriptions": SUBSCRIPTIONS, "firing": FIRING})
        connection.execute(WATERMARKS)
