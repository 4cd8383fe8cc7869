"""The index: the median price of each pair across exchanges."""

from datetime import datetime, timedelta

from sqlalchemy import Engine

from coinwatch.database import statement, transaction
from coinwatch.settings import Settings


def compute_index(engine: Engine, settings: Settings, as_of: datetime) -> int:
    """Store the median of the fresh prices of every dollar-like pair; returns the number of new index prices.

    Fresh prices were observed in the ``index_freshness_seconds`` before ``as_of``. Raises DatabaseError.
    """
    fresh_after = as_of - timedelta(seconds=settings.index_freshness_seconds)
    with transaction(engine) as connection:
        parameters = {"as_of": as_of, "fresh_after": fresh_after}
        return int(connection.execute(statement("prices/ingest/insert_index_prices"), parameters).scalar_one())
