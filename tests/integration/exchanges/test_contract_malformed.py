"""Malformed payloads of any kind end in a rejected quote or an ExchangeError, never in another exception."""

import json
import math
from datetime import UTC

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coinwatch.errors import ExchangeError
from tests.exchange_server import ExchangeServer
from tests.exchange_server.exchanges import respond
from tests.exchange_server.market import EXCHANGES
from tests.support.adapters import QUOTE_PATH, InstrumentOf, OpenAdapter

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)


pytestmark = pytest.mark.parametrize("code", EXCHANGES)


@pytest.mark.parametrize("body", [None, 42, "text", [], {}, [None], {"error": "odd"}, {"result": []}, [[[[]]]]])
def test_json_with_unexpected_structure_is_an_error_or_rejected(
    body: object, code: str, exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    exchange_server.fail(code, "json", body=json.dumps(body))
    adapter = open_adapter(code)

    try:
        batch = adapter.fetch_quotes([instrument_of(adapter, "BTC")])
    except ExchangeError:
        pass
    else:
        assert not batch.quotes
        assert batch.rejected


@settings(max_examples=40)
@given(data=st.data())
def test_payload_with_any_value_replaced_never_gives_an_invalid_quote(
    data: st.DataObject,
    code: str,
    exchange_server: ExchangeServer,
    open_adapter: OpenAdapter,
    instrument_of: InstrumentOf,
) -> None:
    adapter = open_adapter(code)
    instrument = instrument_of(adapter, "BTC")
    exchange_server.faults.clear()
    adapter.fetch_quotes([instrument])
    request = next(each for each in exchange_server.requests(code) if QUOTE_PATH[code] in each.path)
    payload = respond(code, exchange_server.market, request.path, request.query).payload
    malformed = replaced(payload, data.draw(st.sampled_from(paths(payload))), data.draw(JSON))
    exchange_server.fail(code, "json", body=json.dumps(malformed), path=QUOTE_PATH[code])

    try:
        batch = adapter.fetch_quotes([instrument])
    except ExchangeError:
        return

    for quote in batch.quotes:
        assert math.isfinite(quote.price)
        assert quote.price > 0
        assert quote.observed_at.tzinfo is UTC
    assert len(batch.quotes) + len(batch.rejected) == 1


def paths(payload: object) -> list[tuple[object, ...]]:
    """The paths of all values in a payload, the payload itself first."""
    found: list[tuple[object, ...]] = [()]
    if isinstance(payload, dict):
        found += [(key, *rest) for key, value in payload.items() for rest in paths(value)]
    if isinstance(payload, list):
        found += [(index, *rest) for index, value in enumerate(payload) for rest in paths(value)]
    return found


def replaced(payload: object, path: tuple[object, ...], value: object) -> object:
    """The payload with ``value`` at ``path``."""
    if not path:
        return value
    first, *rest = path
    if isinstance(payload, dict):
        return {key: replaced(old, tuple(rest), value) if key == first else old for key, old in payload.items()}
    assert isinstance(payload, list)
    return [replaced(old, tuple(rest), value) if index == first else old for index, old in enumerate(payload)]
