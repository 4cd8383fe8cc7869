"""A connection that is lost is one named error, whichever way it was used."""

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
import sqlalchemy as sa

from coinwatch.database import autocommit, driver_connection, transaction
from coinwatch.errors import DatabaseError


@pytest.mark.parametrize("way", [autocommit, transaction])
def test_a_connection_lost_under_the_drivers_own_cursor_leaves_no_traceback(
    engine: sa.Engine,
    caplog: pytest.LogCaptureFixture,
    way: Callable[[sa.Engine], AbstractContextManager[sa.Connection]],
) -> None:
    with (
        caplog.at_level(logging.ERROR),
        pytest.raises(DatabaseError, match="is not available"),
        way(engine) as connection,
        driver_connection(connection).cursor() as cursor,
    ):
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    assert caplog.records == []
    with way(engine) as connection:
        assert connection.scalar(sa.text("SELECT 1")) == 1
