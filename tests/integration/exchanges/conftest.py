"""Adapters of all exchanges, connected to the exchange server."""

from collections.abc import Iterator
from importlib import import_module

import pytest

from coinwatch.exchanges.models import Exchange, Instrument
from coinwatch.exchanges.registry import ADAPTERS
from coinwatch.settings import load_settings
from tests.exchange_server import ExchangeServer
from tests.exchange_server.market import QUOTE_CURRENCIES, coingecko_id
from tests.support.adapters import NOW, InstrumentOf, OpenAdapter

TIMEOUT_SECONDS = 5.0
UNLISTED = {"NOSUCHCOIN", "NORTHISONE"}  # configured, but on no exchange


@pytest.fixture
def exchange_server(exchange_server: ExchangeServer) -> ExchangeServer:
    """The exchange server with its default prices; its clock is set to NOW."""
    exchange_server.market.clock = lambda: NOW
    return exchange_server


@pytest.fixture
def open_adapter(exchange_server: ExchangeServer) -> Iterator[OpenAdapter]:
    """``open_adapter(code, **exchange_settings)``: an adapter whose clock is set to NOW."""
    opened: list[Exchange] = []

    def opener(code: str, **changes: object) -> Exchange:
        fields = {"base_url": exchange_server.base_url(code), "timeout_seconds": TIMEOUT_SECONDS} | changes
        bases = {listing.base for listing in exchange_server.market.listings(code)} | UNLISTED
        coins = {base: {"name": base, "coingecko_id": coingecko_id(base)} for base in bases}
        settings = load_settings(exchanges={code: fields}, coins=coins)
        exchange = settings.exchanges[code]
        module, _, name = ADAPTERS[exchange.adapter or code].partition(":")
        adapter: Exchange = getattr(import_module(module), name)(code, exchange, settings, clock=lambda: NOW)
        opened.append(adapter)
        return adapter

    yield opener
    for adapter in opened:
        adapter.close()


@pytest.fixture
def instrument_of() -> InstrumentOf:
    """``instrument_of(adapter, "BTC")``: the instrument as it would be stored in the database."""

    def instrument(adapter: Exchange, base: str, quote: str | None = None) -> Instrument:
        quote = quote or QUOTE_CURRENCIES[adapter.code]
        return Instrument(adapter.code, base, quote, adapter.symbol_for(base, quote))

    return instrument
