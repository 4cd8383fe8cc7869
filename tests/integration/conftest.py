"""Fixtures shared by the integration tests."""

from collections.abc import Iterator

import pytest

from tests.support.graphite import GraphiteServer, graphite_server


@pytest.fixture(scope="session")
def graphite() -> Iterator[GraphiteServer]:
    """StatsD, carbon and graphite-web with an empty store."""
    with graphite_server() as server:
        yield server
