"""The page of a coin: its address, the data and the drawing of its chart, and its tables, without JavaScript."""

import csv
import html
import io
import json
import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from statistics import fmean
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from pyarrow import parquet

from coinwatch.prices.candles.refresh import refresh_candles
from coinwatch.prices.candles.series import read_candles
from tests.web.seed import INSERT_STALE_CANDLES, NOW

HTML = {"Accept": "text/html"}
INSERT_GAP = sa.text("""
  INSERT INTO gaps (instrument_id, day, started_at, ended_at, status, reason, detected_at)
  SELECT i.id, CAST(:start AS date), :start, :end, :status, :reason, :end
  FROM instruments i JOIN exchanges e ON e.id = i.exchange_id WHERE e.code = 'coinbase' AND i.base = 'BTC'
""")
INSERT_DAYS = sa.text("""
  INSERT INTO candles (instrument_id, resolution, opened_at, open, high, low, close, volume, source)
  SELECT i.id, '1d', day, 100, 130, 90, 120, 7, 'exchange'
  FROM instruments i JOIN exchanges e ON e.id = i.exchange_id
  CROSS JOIN generate_series(CAST(:first AS timestamptz), :last, '1 day') day
  WHERE e.code = 'kraken' AND i.base = 'BTC' AND i.quote = 'EUR'
""")
INSERT_FALLING_MINUTES = sa.text("""
  INSERT INTO candles (instrument_id, resolution, opened_at, open, high, low, close, source)
  SELECT i.id, '1m', minute, 40000, 40000, 30000, 40000 - number, 'exchange'
  FROM instruments i JOIN exchanges e ON e.id = i.exchange_id
  CROSS JOIN generate_series(date_trunc('minute', CAST(:first AS timestamptz)), :last, '1 minute')
    WITH ORDINALITY minutes (minute, number)
  WHERE e.code = 'index' AND i.base = 'BTC'
""")

pytestmark = pytest.mark.usefixtures("market")


def chart_data(page: str) -> Any:
    found = re.search(r'<script type="application/json" id="chart-data">(.*?)</script>', page, re.DOTALL)
    assert found
    return json.loads(found[1])


def opened(data: Any) -> list[datetime]:
    return [datetime.fromtimestamp(time, UTC) for time in data["times"]]


def links(page: str, text: str) -> list[str]:
    return [html.unescape(href) for href in re.findall(rf'href="([^"]*)"[^>]*>{text}<', page)]


def test_page_shows_candles_and_recorded_prices(client: TestClient, engine: sa.Engine) -> None:
    page = client.get("/coins/BTC?exchange=coinbase&range=24h").text
    data = chart_data(page)
    stored = read_candles(
        engine, "BTC", "coinbase", resolution="15m", start=NOW - timedelta(hours=24), end=NOW, now=NOW
    ).candles
    assert (data["kind"], opened(data)) == ("candles", [candle.opened_at for candle in stored])
    assert data["high"] == [candle.high for candle in stored]
    assert "volume" not in data, "our own quotes have none"
    assert page.count("<path class=") == 2
    assert "Newest 25 in this time range" in page
    assert ">2026-11-20 12:00:18</time>" in page
    assert '<option value="coinbase:USD" selected>' in page
    assert re.search(r'aria-label="24 hours" aria-current="true"', page)


def test_line_is_drawn_through_the_closes(client: TestClient) -> None:
    candles = chart_data(client.get("/coins/BTC?exchange=coinbase").text)
    page = client.get("/coins/BTC?exchange=coinbase&type=line").text
    data = chart_data(page)
    assert (data["kind"], data["close"], "open" in data) == ("line", candles["close"], False)
    [points] = re.findall(r'<polyline class="line series-1" points="([^"]+)"', page)
    assert len(points.split()) == len(data["close"])


@pytest.mark.parametrize("range_", ["24h", "7d", "30d", "90d", "5y"])
def test_history_of_a_day_is_shown_in_detail_in_any_range(client: TestClient, range_: str) -> None:
    """Prices are ten minutes apart: candles are not shorter, and no longer than needed for the history there is."""
    moments = opened(chart_data(client.get(f"/coins/BTC?exchange=coinbase&range={range_}").text))
    assert {after - before for before, after in pairwise(moments)} == {timedelta(minutes=15)}


def test_years_are_shown_as_days_or_weeks(client: TestClient, engine: sa.Engine) -> None:
    with engine.begin() as connection:
        connection.execute(INSERT_DAYS, {"first": datetime(2021, 10, 1, tzinfo=UTC), "last": NOW})
    for range_, days, step in (("1y", 365, 1), ("5y", 1825, 7)):
        page = client.get(f"/coins/BTC?exchange=kraken:EUR&range={range_}").text
        data = chart_data(page)
        assert data["times"][1] - data["times"][0] == step * 86_400
        assert abs(len(data["times"]) * step - days) <= 7
        assert (data["high"][0], data["volume"][0], data["daily"]) == (130, 7.0 * step, True)
        assert "prices this old are kept as candles" in page


def test_change_over_less_history_than_the_range_says_since_when(client: TestClient) -> None:
    begins = "Since 2026-11-20 09:00 UTC"
    for range_, label in {"30d": begins, "24h": begins, "1h": "Change, 1 hour"}.items():
        page = client.get(f"/coins/DOGE?exchange=coinbase&range={range_}").text
        assert f"<dt>{label}</dt>" in re.sub("</?time[^>]*>", "", page)
    assert "<dt>Change, 24 hours</dt>" in client.get("/coins/BTC?exchange=coinbase&range=24h").text


@pytest.mark.parametrize("range_", ["1h", "24h", "7d"])
def test_change_is_that_of_the_overview(client: TestClient, engine: sa.Engine, range_: str) -> None:
    """Also a week ago, it is measured from the minute, not from the hour or the first candle."""
    with engine.begin() as connection:
        connection.execute(INSERT_FALLING_MINUTES, {"first": NOW - timedelta(days=8), "last": NOW - timedelta(days=6)})
    overview = client.get("/").text
    row = re.search(r'<tbody[^>]* id="BTC".*?</tbody>', overview, re.DOTALL)
    assert row
    changes = [float(change) for change in re.findall(r'class="change" value="([^"]+)"', row[0])]
    page = client.get(f"/coins/BTC?range={range_}").text
    shown = re.search(r'class="change" value="([^"]+)"', page)
    assert shown
    assert float(shown[1]) == pytest.approx(changes[["1h", "24h", "7d"].index(range_)], abs=1e-4)
    if range_ == "7d":
        before = 40_000 - 24 * 60  # after 24 hours of minutes, each 1 lower
        assert float(shown[1]) == pytest.approx(100 * (43215.125 - before) / before, abs=0.01)


def test_custom_range_is_exactly_what_is_shown_and_downloaded(client: TestClient) -> None:
    page = client.get(
        "/coins/BTC?exchange=coinbase&range=custom&start=2026-11-20T08:00&end=2026-11-20T11:30&tz=Europe/Berlin"
    ).text
    moments = opened(chart_data(page))
    assert (moments[0].isoformat(), moments[-1].isoformat()) == (
        "2026-11-20T07:00:00+00:00",
        "2026-11-20T10:15:00+00:00",
    )
    assert 'value="2026-11-20T08:00"' in page
    [address] = links(page, "JSON")
    downloaded = client.get(address).json()["candles"]
    assert [datetime.fromisoformat(candle["opened_at"]) for candle in downloaded] == moments
    assert [candle["close"] for candle in downloaded] == chart_data(page)["close"]
    [address] = links(page, "CSV")
    rows = list(csv.DictReader(io.StringIO(client.get(address).text)))
    assert [(datetime.fromisoformat(row["opened_at"]), float(row["close"])) for row in rows] == list(
        zip(moments, chart_data(page)["close"], strict=True)
    )
    [address] = links(page, "Parquet")
    table = parquet.read_table(io.BytesIO(client.get(address).content))
    assert table.column("opened_at").to_pylist() == moments


@pytest.mark.parametrize("fields", ["range=24h", "range=7d&type=line", "compare=kraken,coinnews", "ma=20,50&range=1h"])
def test_link_reproduces_the_view_later(client: TestClient, engine: sa.Engine, fields: str) -> None:
    page = client.get(f"/coins/BTC?exchange=coinbase&{fields}").text
    [link] = links(page, "Link to this view")
    assert "range=custom" in link
    assert chart_data(client.get(f"/coins/BTC{link}").text) == chart_data(page)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("range=custom&start=yesterday", "start is 'yesterday'. Enter a date and time"),
        ("range=custom", "start is missing. Enter a date and time"),
        ("range=custom&start=2026-11-20T10:00&end=2026-11-20T09:00", "The end must be after the start."),
        ("range=custom&start=2026-11-20T10:00&end=2026-11-20T10:01", "The range is too short."),
        ("range=custom&start=2027-01-01&end=2027-01-02", "The start is in the future."),
        ("range=custom&start=0001-01-01", "it must be between 1970 and 2999"),
        ("range=2w", "range is '2w'; it must be one of"),
        ("ma=1", "'1' is not a length of a moving average; it must be from 2 to 200."),
        ("ma=9999999999999999999", "it must be from 2 to 200."),
        ("ma=²", "it must be from 2 to 200."),
        ("ma=2,3,4,5", "4 moving averages are given; the maximum is 3."),
        ("compare=mtgox", "isn't tracked on mtgox. Available on: Index"),
        ("tz=Berlin", "Did you mean Europe/Berlin?"),
    ],
)
def test_invalid_fields_are_reported_and_the_rest_is_shown(client: TestClient, query: str, message: str) -> None:
    response = client.get(f"/coins/BTC?exchange=coinbase&{query}", headers=HTML)
    assert response.status_code == 200
    assert message in html.unescape(response.text)
    assert len(chart_data(response.text)["close"]) > 90


def test_fields_that_are_too_long_are_rejected(client: TestClient) -> None:
    for field in ("compare", "ma", "start", "exchange", "tz"):
        assert client.get(f"/coins/BTC?{field}={'x' * 1000}", headers=HTML).status_code == 422, field


def test_moving_average_is_right_from_the_first_candle(client: TestClient, engine: sa.Engine) -> None:
    start = NOW - timedelta(hours=3)
    page = client.get(f"/coins/BTC?exchange=coinbase&range=custom&start={start:%Y-%m-%dT%H:%M}&ma=5,20").text
    data = chart_data(page)
    stored = read_candles(
        engine, "BTC", "coinbase", resolution="15m", start=NOW - timedelta(hours=20), end=NOW, now=NOW
    ).candles
    closes = {candle.opened_at: candle.close for candle in stored}
    assert [average["label"] for average in data["averages"]] == ["SMA 5", "SMA 20"]
    for average, length in zip(data["averages"], (5, 20), strict=True):
        for moment, value in zip(opened(data), average["values"], strict=True):
            before = [moment - number * timedelta(minutes=15) for number in range(length)]
            assert value == pytest.approx(fmean(closes[each] for each in before))


def test_compared_exchanges_start_at_zero_and_have_a_spread(client: TestClient) -> None:
    page = client.get("/coins/BTC?exchange=coinbase&compare=kraken&compare=index").text
    data = chart_data(page)
    assert (data["kind"], [line["label"] for line in data["lines"]]) == (
        "percent",
        ["Coinbase, USD", "Kraken, USD", "Index, USD"],
    )
    separate = {name: chart_data(client.get(f"/coins/BTC?exchange={name}").text) for name in ("coinbase", "kraken")}
    since = datetime(2026, 11, 19, 12, 15, tzinfo=UTC).timestamp()
    for line, single in zip(data["lines"], separate.values(), strict=False):
        base = single["open"][single["times"].index(since)]
        at = data["times"].index(since + 36_000)
        close = single["close"][single["times"].index(since + 36_000)]
        assert line["values"][at] == pytest.approx(100 * (close / base - 1), abs=1e-4)
    closes = [single["close"][single["times"].index(since + 36_000)] for single in separate.values()]
    expected = 100 * (max(closes) - min(closes)) / fmean(closes)
    assert data["spread"][data["times"].index(since + 36_000)] == pytest.approx(expected, abs=1e-4)
    assert page.count('<polyline class="line series-') == 3
    assert re.findall(r'<th scope="row">(?:<span[^>]*></span>)?([^<]+)', page)[:3] == [
        "Coinbase, USD",
        "Kraken, USD",
        "Index, USD",
    ]


def test_no_spread_between_an_exchange_and_the_index(client: TestClient) -> None:
    data = chart_data(client.get("/coins/BTC?compare=kraken").text)
    assert (len(data["lines"]), data["spread"]) == (2, None)


def test_coin_is_found_by_code_or_name_in_any_case(client: TestClient) -> None:
    assert client.get("/coins?coin=bitcoin").headers["location"] == "/coins/BTC"
    assert client.get("/coins?coin=%20eth ").headers["location"] == "/coins/ETH"
    assert "Bitcoin" in client.get("/coins/bitCOIN").text


def test_list_of_coins_is_the_overview(client: TestClient) -> None:
    assert client.get("/coins").headers["location"] == "/"
    assert client.get("/coins?coin=<b>no").headers["location"] == "/?q=%3Cb%3Eno"


def test_unknown_coin_or_exchange_lists_what_is_available(client: TestClient) -> None:
    assert client.get("/coins/NOPE", headers=HTML).status_code == 404
    elsewhere = client.get("/coins/BTC?exchange=mtgox", headers=HTML)
    assert elsewhere.status_code == 404
    assert "Available on: Index" in elsewhere.text
    assert client.get("/coins/BTC?exchange=kraken&quote=JPY", headers=HTML).status_code == 404


def test_currency_of_an_exchange_can_be_chosen(client: TestClient) -> None:
    for query in ("exchange=kraken:EUR", "exchange=kraken&quote=eur", "quote=EUR"):
        page = client.get(f"/coins/BTC?{query}").text
        assert '<option value="kraken:EUR" selected>' in page
        assert "No prices in this time range" in page
    assert '<option value="kraken:USD" selected>' in client.get("/coins/BTC?exchange=kraken").text


def test_gap_is_shaded_with_its_reason_and_interrupts_the_line(client: TestClient, engine: sa.Engine) -> None:
    gaps = [
        (-240, -120, "unavailable", "Coinbase has no candles there </script><yet>"),
        (-750, -720, "unavailable", "gone"),
        (-720, -700, "unavailable", "gone"),
        (-60, -40, "open", None),
        (-400, -300, "repaired", None),
    ]
    with engine.begin() as connection:
        for first, last, status, reason in gaps:
            noon = datetime(2026, 11, 20, 12, tzinfo=UTC)
            moments = {"start": noon + timedelta(minutes=first), "end": noon + timedelta(minutes=last)}
            connection.execute(INSERT_GAP, moments | {"status": status, "reason": reason})
        missing = {"start": NOW - timedelta(minutes=240), "end": NOW - timedelta(minutes=120)}
        connection.execute(sa.text("DELETE FROM prices WHERE observed_at BETWEEN :start AND :end"), missing)
        connection.execute(sa.text("DELETE FROM candles"))
        connection.execute(INSERT_STALE_CANDLES)
    refresh_candles(engine)
    page = client.get("/coins/BTC?exchange=coinbase&range=24h&type=line").text
    [shaded] = chart_data(page)["gaps"]
    assert shaded == [
        datetime(2026, 11, 20, 8, 15, tzinfo=UTC).timestamp(),
        datetime(2026, 11, 20, 10, tzinfo=UTC).timestamp(),
        "Coinbase has no candles there </script><yet>",
    ]
    assert page.count('<polyline class="line series-1"') == 2
    assert page.count('<rect class="gap"') == 1
    listed = [
        re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", item))
        for item in re.findall(r"<li>(No prices.*?)</li>", page, re.DOTALL)
    ]
    assert [item.partition(": ")[0] for item in listed] == [
        "No prices from 2026-11-20 11:00 to 11:20 UTC",
        "No prices from 2026-11-20 08:00 to 10:00 UTC",
        "No prices from 2026-11-19 23:30 to 2026-11-20 00:20 UTC",
    ], "newest first; gaps that meet at midnight are merged; repaired gaps are omitted"
    assert "Coinbase has no candles there &lt;/script&gt;&lt;yet&gt;." in listed[1]
    assert "No prices from" not in client.get("/coins/BTC?exchange=kraken").text
