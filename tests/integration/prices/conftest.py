"""Fixtures shared by the tests of prices."""

import pytest
import sqlalchemy as sa

from coinwatch.database import transaction
from coinwatch.prices.catalog import find_instrument


@pytest.fixture
def btc(catalog: sa.Engine) -> int:
    """The id of Kraken's BTC/USD."""
    with transaction(catalog) as connection:
        return find_instrument(connection, "BTC", "kraken").instrument_id
