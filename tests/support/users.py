"""Users with subscriptions to prices on Kraken, and what they received."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from coinwatch.alerts.rules import Rule
from coinwatch.alerts.users import find_user_id
from coinwatch.database import transaction
from coinwatch.mail.delivery import deliver_emails
from coinwatch.notifications.subscribers import Subscriber, get_subscriber, list_alerts
from coinwatch.pipeline import store_alerts
from tests.support.quotes import at, load, quote
from tests.support.settings import make_settings
from tests.support.smtp_server import Mailbox
from tests.support.subscriptions import subscribe

ADA, BOB = "ada@example.org", "bob@example.org"
COLUMNS = sa.text("""
  SELECT table_name, column_name FROM information_schema.columns
  WHERE table_schema = 'public' AND data_type IN ('text', 'character varying', 'jsonb', 'json', 'ARRAY', 'bytea')
    AND table_name IN (SELECT table_name FROM information_schema.tables WHERE table_type = 'BASE TABLE')
""")


def add(
    engine: sa.Engine,
    email: str = ADA,
    *,
    coin: str = "BTC",
    minutes: float = -1,
    confirmed: bool = True,
    **rule: Any,
) -> int:
    wanted = Rule(**({"threshold": 5.0} | rule))
    return subscribe(
        engine, email=email, coin=coin, exchange="kraken", rule=wanted, now=at(minutes), confirmed=confirmed
    ).id


def get_user(engine: sa.Engine, email: str = ADA) -> Subscriber:
    found = find_user_id(engine, email)
    assert found is not None
    return get_subscriber(engine, found)


def feed(engine: sa.Engine, *prices: float, first: int = 0) -> None:
    """Load a price per minute, with an evaluation after each."""
    for minute, price in enumerate(prices, first):
        load(engine, quote(price, minute))
        store_alerts(engine, at(minute))


def alert_minutes(engine: sa.Engine, email: str = ADA) -> list[float]:
    """The minutes of a user's alerts, newest first."""
    return [
        (alert.observed_at - at(0)).total_seconds() / 60 for alert in list_alerts(engine, get_user(engine, email).id)
    ]


def queued_kinds(engine: sa.Engine, recipient: str = ADA) -> list[str]:
    """The kinds of the outbox rows of a recipient."""
    query = sa.text("SELECT kind FROM outbox WHERE recipient = :recipient ORDER BY id")
    with transaction(engine) as connection:
        return list(connection.execute(query, {"recipient": recipient}).scalars())


def columns_containing(engine: sa.Engine, text: str) -> set[str]:
    """Every column of every table that contains the text, in lower case."""
    with transaction(engine) as connection:
        found = set()
        for table, column in connection.execute(COLUMNS).all():
            query = sa.text(f'SELECT count(*) FROM "{table}" WHERE lower(CAST("{column}" AS text)) LIKE :text')
            if connection.execute(query, {"text": f"%{text}%"}).scalar_one():
                found.add(f"{table}.{column}")
        return found


def deliver(engine: sa.Engine, mailbox: Mailbox, moment: datetime) -> None:
    deliver_emails(engine, make_settings(smtp_url=mailbox.url), clock=lambda: moment)
