"""Whatever an exchange answers, it costs at most that exchange's turn: payloads of other shapes, values replaced."""

import json
import math
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coinwatch.errors import ExchangeError
from coinwatch.exchanges.models import Exchange, Instrument
from tests.exchange_server import ExchangeServer
from tests.exchange_server.market import VENUES
from tests.exchange_server.venues import answer

# Where the price comes from, as the far end sees the path.
QUOTE_PATH = {
    "coinnews": "/api/data/BTC",
    "coingecko": "/simple/price",
    "binance": "/ticker/24hr",
    "coinbase": "/ticker",
    "kraken": "/Ticker",
    "bitstamp": "/ticker",
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)

OpenAdapter = Callable[..., Exchange]
InstrumentOf = Callable[..., Instrument]

pytestmark = pytest.mark.parametrize("venue", VENUES)


@pytest.mark.parametrize("body", [None, 42, "text", [], {}, [None], {"error": "odd"}, {"result": []}, [[[[]]]]])
def test_json_of_another_shape_raises_nothing_of_pythons_own(
    body: object, venue: str, exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    exchange_server.fail(venue, "json", body=json.dumps(body))
    adapter = open_adapter(venue)

    try:
        batch = adapter.fetch_quotes([instrument_of(adapter, "BTC")])
    except ExchangeError:
        pass
    else:
        assert not batch.quotes
        assert batch.rejected

    with suppress(ExchangeError):
        assert adapter.list_instruments() == []


@settings(max_examples=40)
@given(data=st.data())
def test_a_payload_with_any_value_replaced_costs_at_most_that_exchanges_turn(
    data: st.DataObject,
    venue: str,
    exchange_server: ExchangeServer,
    open_adapter: OpenAdapter,
    instrument_of: InstrumentOf,
) -> None:
    adapter = open_adapter(venue)
    instrument = instrument_of(adapter, "BTC")
    exchange_server.faults.clear()
    adapter.fetch_quotes([instrument])
    asked = next(each for each in exchange_server.requests(venue) if QUOTE_PATH[venue] in each.path)
    payload = answer(venue, exchange_server.market, asked.path, asked.query).payload
    spoilt = replaced(payload, data.draw(st.sampled_from(places(payload))), data.draw(JSON))
    exchange_server.fail(venue, "json", body=json.dumps(spoilt), path=QUOTE_PATH[venue])

    try:
        batch = adapter.fetch_quotes([instrument])
    except ExchangeError:
        return

    for quote in batch.quotes:
        assert math.isfinite(quote.price)
        assert quote.price > 0
        assert quote.observed_at.tzinfo is UTC
    assert len(batch.quotes) + len(batch.rejected) == 1


def places(payload: object) -> list[tuple[object, ...]]:
    """Where in a payload something can be replaced, the whole payload first."""
    found: list[tuple[object, ...]] = [()]
    if isinstance(payload, dict):
        found += [(key, *rest) for key, value in payload.items() for rest in places(value)]
    if isinstance(payload, list):
        found += [(index, *rest) for index, value in enumerate(payload) for rest in places(value)]
    return found


def replaced(payload: object, place: tuple[object, ...], value: object) -> object:
    """The payload with ``value`` at ``place``."""
    if not place:
        return value
    first, *rest = place
    if isinstance(payload, dict):
        return {key: replaced(old, tuple(rest), value) if key == first else old for key, old in payload.items()}
    assert isinstance(payload, list)
    return [replaced(old, tuple(rest), value) if index == first else old for index, old in enumerate(payload)]
