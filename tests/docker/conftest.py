"""Ports for tests of a second stack."""

import socket
from collections.abc import Iterator

import pytest

from local.ports import PORTS
from tests.support.ports import free_port


@pytest.fixture(scope="session")
def free_ports() -> dict[str, str]:
    """A free port for every COINWATCH_*_PORT."""
    return {port.setting: str(free_port()) for port in PORTS.values()}


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]
