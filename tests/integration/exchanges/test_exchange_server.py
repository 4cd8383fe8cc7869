"""The exchange server as a process, controlled over HTTP, as the end-to-end tests use it."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def url() -> Iterator[str]:
    command = [sys.executable, "-m", "tests.exchange_server", "--port", "0", "--instruments", "20"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout as output:
        yield output.readline().strip()
        process.terminate()
        assert process.wait(10) == 0


def test_prices_and_faults_are_controlled_over_http(url: str) -> None:
    def control(what: str, **fields: object) -> object:
        response = requests.post(f"{url}/_control/{what}", json=fields, timeout=5)
        response.raise_for_status()
        return response.json()

    ticker = f"{url}/coinbase/products/BTC-USD/ticker"
    assert requests.get(f"{url}/_control/health", timeout=5).json() == {"status": "ok"}
    assert len(requests.get(f"{url}/coinbase/products", timeout=5).json()) == 20

    control("price", exchange="coinbase", base="BTC", quote="USD", price=123.5, at="2026-11-20T12:00:00Z")
    response = requests.get(ticker, timeout=5).json()
    assert (response["price"], response["time"]) == ("123.5", "2026-11-20T12:00:00Z")

    control("fault", exchange="coinbase", kind="status", status=429, headers={"Retry-After": "7"}, times=1)
    assert requests.get(ticker, timeout=5).headers["Retry-After"] == "7"
    assert requests.get(ticker, timeout=5).status_code == 200

    assert requests.get(f"{url}/_control/requests", timeout=5).json() == {"coinbase": 4}
    assert control("generate", exchange="kraken", count=3) == ["BTC/USD", "ETH/USD", "SOL/USD"]
    control("reset")
    assert requests.get(f"{url}/_control/requests", timeout=5).json() == {}


def test_invalid_control_request_is_explained(url: str) -> None:
    response = requests.post(f"{url}/_control/price", json={"exchange": "mtgox", "price": 1}, timeout=5)

    assert response.status_code == 400
    assert "unknown exchange 'mtgox'" in response.json()["error"]
