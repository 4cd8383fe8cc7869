"""Adapters of every kind, pointed at the project's own far end."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib import import_module

import pytest

from coinwatch.exchanges.models import Exchange, Instrument
from coinwatch.exchanges.registry import ADAPTERS
from coinwatch.settings import load_settings
from tests.exchange_server import ExchangeServer
from tests.exchange_server.market import QUOTES

NOW = datetime(2026, 11, 20, 12, 0, 30, tzinfo=UTC)
TIMEOUT_SECONDS = 5.0

OpenAdapter = Callable[..., Exchange]


@pytest.fixture(scope="session")
def shared_exchange_server() -> Iterator[ExchangeServer]:
    with ExchangeServer() as server:
        yield server


@pytest.fixture
def exchange_server(shared_exchange_server: ExchangeServer) -> Iterator[ExchangeServer]:
    """The far end with the usual prices; its clock stands at NOW."""
    shared_exchange_server.reset()
    shared_exchange_server.market.clock = lambda: NOW
    yield shared_exchange_server
    shared_exchange_server.reset()


@pytest.fixture
def open_adapter(exchange_server: ExchangeServer) -> Iterator[OpenAdapter]:
    """``open_adapter(venue, **exchange_settings)``: the adapter, its clock standing at NOW."""
    opened: list[Exchange] = []

    def opener(venue: str, **changes: object) -> Exchange:
        fields = {"base_url": exchange_server.base_url(venue), "timeout_seconds": TIMEOUT_SECONDS} | changes
        settings = load_settings(exchanges={venue: fields})
        exchange = settings.exchanges[venue]
        module, _, name = ADAPTERS[exchange.adapter or venue].partition(":")
        adapter: Exchange = getattr(import_module(module), name)(venue, exchange, settings, clock=lambda: NOW)
        opened.append(adapter)
        return adapter

    yield opener
    for adapter in opened:
        adapter.close()


@pytest.fixture
def instrument_of() -> Callable[..., Instrument]:
    """``instrument_of(adapter, "BTC")``: the instrument as the database would hold it."""

    def instrument(adapter: Exchange, base: str, quote: str | None = None) -> Instrument:
        quote = quote or QUOTES[adapter.code]
        return Instrument(adapter.code, base, quote, adapter.symbol_for(base, quote))

    return instrument
