"""Long lists in pages, how long they may be cached, and ranges that no one should wait for."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from coinwatch.errors import InvalidRequest
from coinwatch.prices.candles.refresh import refresh_candles
from coinwatch.web.pagination import decode_cursor, encode_cursor
from tests.web.problems import invalid_fields

RANGE = {"exchange": "coinbase", "start": "2026-11-19T12:00:00Z", "end": "2026-11-20T12:00:00Z"}

INSERT_CANDLES = sa.text("""
  INSERT INTO candles (instrument_id, resolution, opened_at, open, high, low, close, source)
  SELECT i.id, '1h', opened_at, 1, 2, 0.5, 1.5, :source
  FROM instruments i JOIN exchanges e ON e.id = i.exchange_id,
       generate_series(CAST(:first AS timestamptz), CAST(:last AS timestamptz), interval '1 hour') opened_at
  WHERE e.code = 'coinbase' AND i.base = 'BTC' AND i.quote = 'USD'
""")


@pytest.fixture(autouse=True)
def candles(market: None, engine: sa.Engine) -> None:
    """Candles of the seeded market: 30 hours up to 2026-11-20 12:00:18, a price every ten minutes."""
    refresh_candles(engine)


def pages(client: TestClient, path: str, **query: object) -> Iterator[dict]:  # type: ignore[type-arg]
    """The bodies of all pages, following the links."""
    response = client.get(path, params=query)  # type: ignore[arg-type]
    while True:
        assert response.status_code == 200, response.text
        yield response.json()
        if "next" not in response.links:
            return
        response = client.get(response.links["next"]["url"])


def test_history_has_every_price_once(client: TestClient) -> None:
    whole = client.get("/api/v1/history/BTC", params=RANGE).json()
    assert len(whole["points"]) == 144
    found = list(pages(client, "/api/v1/history/BTC", **RANGE, limit=50))
    assert [len(page["points"]) for page in found] == [50, 50, 44]
    assert [point for page in found for point in page["points"]] == whole["points"]
    assert {(page["downsampled"], *page["made_of"]) for page in found} == {(False, "prices")}


@pytest.mark.parametrize(
    ("resolution", "timezone", "limit"), [("1h", "UTC", 7), ("1m", "UTC", 100), ("4h", "Europe/Berlin", 3)]
)
def test_candles_are_the_same_in_pages(client: TestClient, resolution: str, timezone: str, limit: int) -> None:
    query = {**RANGE, "resolution": resolution, "timezone": timezone}
    whole = client.get("/api/v1/candles/BTC", params=query).json()
    found = list(pages(client, "/api/v1/candles/BTC", **query, limit=limit))
    assert len(found) > 1
    assert max(len(page["candles"]) for page in found) <= limit
    assert [candle for page in found for candle in page["candles"]] == whole["candles"]


def test_days_around_a_clock_change_are_not_lost_between_pages(client: TestClient, engine: sa.Engine) -> None:
    first, last = datetime(2026, 3, 20, tzinfo=UTC), datetime(2026, 4, 5, 23, tzinfo=UTC)
    with engine.begin() as connection:
        connection.execute(INSERT_CANDLES, {"source": "exchange", "first": first, "last": last})
    query = {"exchange": "coinbase", "resolution": "1d", "timezone": "Europe/Berlin", "end": last.isoformat()}
    for limit in (1, 2, 3, 5):
        found = pages(client, "/api/v1/candles/BTC", **query, start=first.isoformat(), limit=limit)
        days = [candle["opened_at"][:10] for page in found for candle in page["candles"]]
        assert days == [str((first + timedelta(days=number)).date()) for number in range(17)], limit


@pytest.mark.parametrize("path", ["candles/BTC?resolution=1m", "history/BTC?limit=10000"])
def test_ten_years_of_minutes_arrive_in_quick_pages(client: TestClient, path: str) -> None:
    begun = time.monotonic()
    name, _, query = path.partition("?")
    options = dict([part.split("=") for part in query.split("&")])
    found = list(pages(client, f"/api/v1/{name}", exchange="coinbase", start="2016-11-20T00:00:00Z", **options))
    rows = sum(len(page.get("candles", page.get("points"))) for page in found)
    assert rows == 181, "those of the seeded market, each once"
    assert len(found) < 50
    assert (time.monotonic() - begun) / len(found) < 1


def test_the_last_candles_are_as_many_as_requested(client: TestClient) -> None:
    found = client.get("/api/v1/candles/BTC?exchange=coinbase&resolution=1h&limit=3")
    assert [candle["opened_at"][11:16] for candle in found.json()["candles"]] == ["10:00", "11:00", "12:00"]
    assert "next" not in found.links


def test_links_keep_the_other_parameters_and_the_format(
    client: TestClient, inside_as: Callable[..., TestClient]
) -> None:
    response = client.get("/api/v1/candles/BTC", params={**RANGE, "limit": 2, "format": "csv"})
    link = response.links["next"]["url"]
    assert link.startswith("/api/v1/candles/BTC?")
    assert client.get(link).text.startswith("exchange,base,quote,resolution,opened_at,open,high,low,close,volume")
    embedded = inside_as("viewer").get("/coinwatch/api/v1/candles/BTC", params={**RANGE, "limit": 2})
    assert embedded.links["next"]["url"].startswith("/coinwatch/api/v1/candles/BTC?")


@pytest.mark.parametrize(
    "cursor", ["x", "%00", "bnVsbA", "WzFd", "WyJub3ciXQ", "é", "WyIwMDAxLTAxLTAxVDAwOjAwOjAwWiJd"]
)
@pytest.mark.parametrize("path", ["history/BTC", "candles/BTC"])
def test_invalid_cursor_is_reported(client: TestClient, path: str, cursor: str) -> None:
    response = client.get(f"/api/v1/{path}", params={"cursor": cursor})
    assert (response.status_code, invalid_fields(response)) == (422, ["cursor"])


def test_a_range_in_points_has_no_pages(client: TestClient) -> None:
    response = client.get("/api/v1/history/BTC", params={"points": 20, "cursor": encode_cursor(datetime.now(UTC))})
    assert (response.status_code, invalid_fields(response)) == (422, ["points"])


@given(st.integers(0, 32_000_000_000), st.integers(0, 2**63 - 1))
def test_cursor_returns_what_it_was_made_from(seconds: int, number: int) -> None:
    moment = datetime.fromtimestamp(seconds, UTC)
    assert decode_cursor(encode_cursor(moment, number), datetime, int) == [moment, number]


@given(st.text(max_size=40) | st.binary(max_size=30).map(lambda data: data.hex()))
def test_any_other_cursor_is_an_invalid_request(text: str) -> None:
    with pytest.raises(InvalidRequest):
        decode_cursor(text, datetime, int)


def test_only_final_candles_are_immutable(client: TestClient, engine: sa.Engine) -> None:
    first, last = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 2, 23, tzinfo=UTC)
    with engine.begin() as connection:
        connection.execute(INSERT_CANDLES, {"source": "exchange", "first": first, "last": last})

    def cache_control(**query: str) -> str:
        parameters = {"exchange": "coinbase", "start": first.isoformat(), "end": last.isoformat()} | query
        return str(client.get("/api/v1/candles/BTC", params=parameters).headers["cache-control"])

    assert cache_control() == "public, max-age=86400, immutable"
    assert cache_control(end="2026-11-20T12:00:00Z") == "public, max-age=2", "still forming"
    assert cache_control(start="2026-11-19T12:00:00Z", end="2026-11-20T08:00:00Z") == "public, max-age=60", "quotes"
    change = "UPDATE candles SET source = 'quotes' WHERE opened_at = '2026-11-01 05:00Z'"
    for statement in (change, "DELETE FROM candles WHERE opened_at = '2026-11-01 05:00Z'"):
        with engine.begin() as connection:
            connection.execute(sa.text(statement))
        assert cache_control() == "public, max-age=60", "a backfill may still replace or add a candle"
