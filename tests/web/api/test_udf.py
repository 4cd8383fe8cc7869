"""The UDF feed, read as TradingView's charting library reads it."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from coinwatch.prices.candles.refresh import refresh_candles
from coinwatch.web.services.udf import MAX_COUNTBACK
from tests.web.seed import NOW

pytestmark = pytest.mark.usefixtures("market")


@pytest.fixture(autouse=True)
def candles(engine: sa.Engine, market: None) -> None:
    refresh_candles(engine)


def get(client: TestClient, path: str, **query: object) -> Any:
    response = client.get(f"/udf/{path}", params={name: str(value) for name, value in query.items()})
    assert response.status_code == 200, response.text
    return response.json()


def seconds(moment: datetime) -> int:
    return int(moment.timestamp())


def load_whole_chart(client: TestClient, symbol: str, resolution: str, bars: int) -> list[tuple[int, float]]:
    """Page backwards from now as the library does while a user scrolls left, until the feed has no earlier bars."""
    pages: list[list[tuple[int, float]]] = []
    end = seconds(NOW) + 60
    for _ in range(200):
        answer = get(
            client, "history", symbol=symbol, resolution=resolution, countback=bars, to=end, **{"from": end - bars}
        )
        if answer["s"] == "no_data":
            if "nextTime" not in answer:
                return [bar for page in reversed(pages) for bar in page]
            end = answer["nextTime"] + 1
            continue
        assert len(answer["t"]) <= bars
        pages.append(list(zip(answer["t"], answer["c"], strict=True)))
        end = answer["t"][0]
    raise AssertionError("the feed never ends")


def test_library_finds_describes_and_draws_a_symbol(client: TestClient) -> None:
    config = get(client, "config")
    assert config["supports_search"] is True
    assert "KRAKEN" in [exchange["value"] for exchange in config["exchanges"]]
    [first, *_] = get(client, "search", query="bitcoin", type="crypto", exchange="", limit=30)
    assert first["ticker"] == "INDEX:BTC/USD"
    symbol = get(client, "symbols", symbol=first["ticker"])
    assert symbol["pricescale"] == 100
    assert symbol["session"] == "24x7"
    assert set(symbol["supported_resolutions"]) == set(config["supported_resolutions"])
    chart = load_whole_chart(client, first["ticker"], "60", 10)
    times = [time for time, _ in chart]
    assert times == sorted(set(times))
    api = client.get("/api/v1/candles/BTC?resolution=1h").json()["candles"]
    assert chart == [(seconds(datetime.fromisoformat(candle["opened_at"])), candle["close"]) for candle in api]


@pytest.mark.parametrize("resolution", ["1", "5", "15", "60", "240", "1D", "1W", "1M", "D"])
def test_every_resolution_ends_at_the_first_price(client: TestClient, resolution: str) -> None:
    chart = load_whole_chart(client, "KRAKEN:BTC/USD", resolution, 300)
    assert chart[0][0] <= seconds(NOW - timedelta(minutes=30, hours=30))
    assert chart[-1][0] <= seconds(NOW - timedelta(minutes=30))


def test_countback_reaches_across_a_gap(client: TestClient, engine: sa.Engine) -> None:
    start, end = NOW - timedelta(hours=20), NOW - timedelta(hours=2)
    with engine.begin() as connection:
        connection.execute(
            sa.text("DELETE FROM candles WHERE opened_at >= :start AND opened_at < :end"), {"start": start, "end": end}
        )
    found = get(client, "history", symbol="INDEX:BTC/USD", resolution="60", countback=5, to=seconds(NOW), **{"from": 0})
    assert len(found["t"]) == 5
    assert found["t"][0] < seconds(start)


def test_range_without_bars_names_the_last_one_before(client: TestClient) -> None:
    noon = datetime(2026, 11, 27, 12, tzinfo=UTC)
    found = get(
        client,
        "history",
        symbol="INDEX:BTC/USD",
        resolution="60",
        to=seconds(noon),
        **{"from": seconds(noon - timedelta(hours=3))},
    )
    assert found == {"s": "no_data", "nextTime": seconds(datetime(2026, 11, 20, 12, tzinfo=UTC))}


def test_volumes_are_left_out_unless_all_are_known(client: TestClient) -> None:
    found = get(client, "history", symbol="INDEX:BTC/USD", resolution="60", countback=5, to=seconds(NOW), **{"from": 0})
    assert "v" not in found


@pytest.mark.parametrize(
    ("symbol", "ticker"),
    [("BTCUSD", "INDEX:BTC/USD"), ("kraken:btcusd", "KRAKEN:BTC/USD"), ("Kraken:BTC/EUR", "KRAKEN:BTC/EUR")],
)
def test_symbols_are_found_in_any_spelling(client: TestClient, symbol: str, ticker: str) -> None:
    assert get(client, "symbols", symbol=symbol)["ticker"] == ticker


@pytest.mark.parametrize(
    ("query", "status", "named"),
    [
        ({"symbol": "KRAKEN:BTX/USD", "resolution": "60"}, 404, "KRAKEN:BTC/USD"),
        ({"symbol": "BTCUSD", "resolution": "7"}, 422, "240"),
        ({"symbol": "BTCUSD", "resolution": "1", "from": 0}, 422, "maximum is 10,000"),
        ({"symbol": "BTCUSD", "resolution": "60", "to": 10**18}, 422, "Unix time"),
    ],
)
def test_errors_have_the_form_of_the_protocol(
    client: TestClient, query: dict[str, object], status: int, named: str
) -> None:
    response = client.get(
        "/udf/history",
        params={"from": seconds(NOW) - 86_400, "to": seconds(NOW), **query},  # type: ignore[arg-type]
    )
    assert response.status_code == status
    assert response.json()["s"] == "error"
    assert named in response.json()["errmsg"]


def test_too_many_bars_are_an_error_not_a_part_of_them(client: TestClient) -> None:
    query = {"symbol": "BTCUSD", "resolution": "1", "from": "0", "to": "1", "countback": str(MAX_COUNTBACK + 1)}
    assert client.get("/udf/history", params=query).status_code == 422


def test_small_prices_get_as_many_decimals_as_they_need(client: TestClient) -> None:
    scale = get(client, "symbols", symbol="INDEX:DOGE/USD")["pricescale"]
    assert math.log10(scale) == 7


def test_openbb_reads_what_its_widgets_name(client: TestClient) -> None:
    widgets = client.get("/widgets.json").json()
    read = 0
    for widget in widgets.values():
        if widget["type"] == "advanced_charting":
            assert get(client, "symbols", symbol=widget["data"]["defaultSymbol"])["ticker"] == "INDEX:BTC/USD"
            continue
        rows = client.get(f"/{widget['endpoint']}").json()
        if "dataKey" in widget["data"]:
            rows = rows[widget["data"]["dataKey"]]
        columns = {column["field"] for column in widget["data"]["table"]["columnsDefs"]}
        assert all(columns <= set(row) for row in rows)
        read += bool(rows)
    assert read == 2  # nothing fell
