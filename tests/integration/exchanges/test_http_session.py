"""The HTTP session: its limit on the size of a response, and proxies."""

import pytest
import requests

from coinwatch.exchanges.http_session import BodyTooLarge, GuardedSession
from tests.exchange_server import ExchangeServer


def test_oversized_response_is_not_read_completely(exchange_server: ExchangeServer) -> None:
    exchange_server.fail("binance", "endless")

    with pytest.raises(BodyTooLarge):
        GuardedSession(seconds=30, body_limit=1_000_000).get(exchange_server.base_url("binance"))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_requests_to_this_machine_use_no_proxy(
    exchange_server: ExchangeServer, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    url = exchange_server.base_url("coinnews").replace("127.0.0.1", host)
    assert GuardedSession(seconds=5).get(f"{url}/api/data").status_code == 200
    with pytest.raises(requests.exceptions.ProxyError):
        GuardedSession(seconds=5).get("http://exchange.example")
