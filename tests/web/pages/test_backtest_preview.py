"""How often a rule would have fired: in the form, and in the API."""

import re
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import psycopg
import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.testclient import TestClient

from coinwatch.alerts.backtest import backtest
from coinwatch.alerts.rules import Rule, describe
from coinwatch.alerts.subscriptions import list_subscriptions
from coinwatch.web.error_handlers import TIMED_OUT
from coinwatch.web.middleware.rate_limiter import BACKTESTS, ConcurrencyLimit
from coinwatch.web.services.alert_form import preview
from tests.conftest import Database
from tests.web.problems import field_errors
from tests.web.seed import INSERT, NOW
from tests.web.subscribing import field_error

pytestmark = pytest.mark.usefixtures("market")

FORM = {"coin": "BTC", "exchange": "coinbase", "kind": "change_since_last", "threshold_percent": "5", "email": "x"}


@pytest.fixture
def month(engine: sa.Engine, market: None) -> None:
    """ETH on Coinbase over 31 days, every three hours: 100, but 110 at noon of every third day."""
    moments = [NOW - timedelta(hours=hours) for hours in range(31 * 24, 30, -3)]
    with engine.begin() as connection:
        days = {"first": moments[0].date(), "last": NOW.date()}
        connection.execute(sa.text("SELECT create_price_partitions(:first, :last)"), days)
        connection.execute(sa.text("DELETE FROM prices; DELETE FROM candles"))
        rows = [{"observed_at": moment, "price": 110.0 if _is_high(moment) else 100.0} for moment in moments]
        none = {"volume": None, "bid": None, "ask": None}
        connection.execute(INSERT, [row | {"exchange": "coinbase", "base": "ETH"} | none for row in rows])


def _is_high(moment: datetime) -> bool:
    return moment.day % 3 == 0 and 12 <= moment.hour < 15


def preview_text(page: str) -> str:
    """The text of the preview."""
    section = page.split('id="preview"')[1].partition("</section>")[0]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", section)).strip()


@pytest.mark.usefixtures("month")
def test_preview_shows_alert_frequency_and_keeps_submitted_values(client: TestClient, engine: sa.Engine) -> None:
    form = FORM | {"coin": "ETH", "threshold_percent": "7,5 %", "direction": "up", "email": "ada@example.org"}
    page = client.post("/subscribe/preview", data=form)
    assert page.status_code == 200
    past = backtest(
        engine,
        Rule(threshold=7.5, direction="up", cooldown_seconds=3600),
        "ETH",
        "coinbase",
        start=NOW - timedelta(days=30),
        end=NOW,
    )
    assert [alert.change_percent for alert in past.alerts] == [pytest.approx(10)] * len(past.alerts)
    assert 8 <= len(past.alerts) <= 10
    text = preview_text(page.text)
    assert f"In the last 30 days, this alert would have fired {len(past.alerts)} times, about 2 a week." in text
    assert "110.00 from 100.00 ▲ +10.00%" in text
    assert page.text.count('<circle class="marker"') == len(past.alerts)
    assert len(re.findall(r"<tr><td><time", page.text)) == 5
    assert 'value="7,5 %"' in page.text
    assert 'value="ada@example.org"' in page.text
    assert '<option value="up" selected>' in page.text
    assert list_subscriptions(engine) == []


def test_every_dot_of_the_preview_is_on_its_line(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preview, "CHART_POINTS", 8)  # so that most of the prices are left out
    form = FORM | {"threshold_percent": "0.11", "cooldown_seconds": "0"}
    section = client.post("/subscribe/preview", data=form).text.split('id="preview"')[1]
    line = {point for points in re.findall(r'points="([^"]*)"', section) for point in points.split()}
    dots = {
        f"{float(x):g},{float(y):g}"
        for x, y in re.findall(r'<circle class="marker" cx="([^"]+)" cy="([^"]+)"', section)
    }
    assert len(dots) > 8
    assert dots <= line


def test_rule_that_needs_more_history_than_there_is_says_so(client: TestClient) -> None:
    form = FORM | {"coin": "DOGE", "kind": "change_over_window", "change_window_seconds": "1d"}
    text = preview_text(client.post("/subscribe/preview", data=form).text)
    assert "This alert needs 1 d of history; there is 3 h." in text
    assert "smaller change" not in text
    query = {"coin": "DOGE", "exchange": "coinbase", "threshold_percent": "5", "window_seconds": "1d"}
    found = client.get("/api/v1/backtest", params=query).json()
    assert (found["summary"], found["per_week"]) == ("This alert needs 1 d of history; there is 3 h.", None)


def test_preview_inside_airflow_requires_only_a_login(inside_as: Callable[..., TestClient]) -> None:
    page = inside_as("viewer").post("/coinwatch/subscribe/preview", data=FORM)
    assert page.status_code == 200
    assert 'formaction="/coinwatch/subscribe/preview#preview"' in page.text
    assert "would not have fired" in preview_text(page.text)
    assert inside_as(None).post("/coinwatch/subscribe/preview", data=FORM).status_code == 401


def test_preview_without_values_redirects_to_the_form(client: TestClient) -> None:
    response = client.get("/subscribe/preview")
    assert (response.status_code, response.headers["location"]) == (303, "/subscribe")


@pytest.mark.usefixtures("month")
def test_alert_that_never_fires_shows_price_range(client: TestClient) -> None:
    form = FORM | {"coin": "ETH", "kind": "crosses", "level": "200"}
    text = preview_text(client.post("/subscribe/preview", data=form).text)
    assert "In the last 30 days, this alert would not have fired." in text
    assert "200.00 USD" in text
    assert "between 100.00 USD and 110.00 USD." in text


@pytest.mark.usefixtures("month")
def test_alert_without_repeat_shows_when_it_would_end(client: TestClient) -> None:
    text = preview_text(client.post("/subscribe/preview", data=FORM | {"coin": "ETH", "repeat": "once"}).text)
    assert re.search(r"would have fired on 2026-1[01]-\d\d \d\d:00 UTC, then ended\.", text)


def test_short_history_shows_a_caveat_instead_of_a_rate(client: TestClient) -> None:
    text = preview_text(client.post("/subscribe/preview", data=FORM | {"threshold_percent": "0.11"}).text)
    assert re.search(r"Since 2026-11-19 06:00 UTC \(30 h\), this alert would have fired \d+ times\.", text), text
    assert "rough estimate" in text
    assert "a week" not in text


def test_frequent_alerts_get_a_warning_with_a_suggested_threshold(client: TestClient, engine: sa.Engine) -> None:
    form = FORM | {"threshold_percent": "0.01", "cooldown_seconds": "0"}
    text = preview_text(client.post("/subscribe/preview", data=form).text)
    assert re.search(r"That is an alert every \d\d minutes\.", text)
    suggested = re.search(r"\(([\d.]+)% would have fired about once a day\)", text)
    assert suggested, text
    rule = Rule(threshold=float(suggested[1]))
    past = backtest(engine, rule, "BTC", "coinbase", start=NOW - timedelta(days=2), end=NOW)
    assert len(past.alerts) <= 2


def test_average_shorter_than_update_interval_gets_a_warning(client: TestClient) -> None:
    text = preview_text(client.post("/subscribe/preview", data=FORM | {"kind": "deviation_from_average"}).text)
    assert re.search(r"about every 1\d minutes\. Choose a longer average\.", text)


def test_preview_with_a_single_current_value(client: TestClient, engine: sa.Engine) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM prices; DELETE FROM candles"))
        row = {"exchange": "coinbase", "base": "BTC", "observed_at": NOW, "price": 100.0}
        connection.execute(INSERT, row | {"volume": 0.0, "bid": None, "ask": None})
    for metric in ("price", "volume_24h"):
        page = client.post("/subscribe/preview", data=FORM | {"kind": "crosses", "level": "200", "metric": metric})
        assert page.status_code == 200
        assert "Since 12:00 UTC (0 s), this alert would not have fired." in preview_text(page.text)


def test_missing_history_is_explained(client: TestClient) -> None:
    volume = FORM | {"metric": "volume_24h"}
    assert "24 h volume is tracked per exchange" in preview_text(
        client.post("/subscribe/preview", data=volume | {"exchange": ""}).text
    )
    assert "Volume (BTC)" not in preview_text(client.post("/subscribe/preview", data=volume).text), (
        "the volume never changed"
    )
    form = FORM | {"exchange": "kraken", "quote": "EUR"}
    assert "There are no prices here yet." in preview_text(client.post("/subscribe/preview", data=form).text)


@pytest.mark.parametrize(
    ("field", "value"),
    [("threshold_percent", ""), ("threshold_percent", "5000"), ("coin", "NOPE"), ("exchange", "mtgox")],
)
def test_invalid_preview_value_is_reported_at_its_field(client: TestClient, field: str, value: str) -> None:
    page = client.post("/subscribe/preview", data=FORM | {"exchange": "", field: value})
    assert page.status_code == 422
    assert field_error(page.text, field)


@pytest.mark.usefixtures("month")
def test_api_backtest_matches_the_library(client: TestClient, engine: sa.Engine) -> None:
    rule = Rule("change_over_window", 8, "down", window_seconds=3 * 3600)
    past = backtest(engine, rule, "ETH", "coinbase", start=NOW - timedelta(days=14), end=NOW)
    query: dict[str, str | int] = {
        "coin": "ethereum",
        "exchange": "coinbase",
        "kind": "change_over_window",
        "threshold_percent": 8,
    }
    result = client.get(
        "/api/v1/backtest", params=query | {"direction": "down", "window_seconds": 3 * 3600, "days": 14}
    ).json()
    assert result["alerts"] == len(past.alerts) > 2
    assert result["newest"][0]["observed_at"] == past.alerts[-1].observed_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert result["newest"][0]["change_percent"] == pytest.approx(-100 / 11)
    assert result["condition"] == describe(rule, "USD", "ETH")
    assert result["per_week"] == past.per_week == pytest.approx(len(past.alerts) / 2, rel=0.02)
    assert result["values"] == past.quotes


@pytest.mark.parametrize(
    ("query", "field", "message"),
    [
        ({"days": 91}, "days", "days is 91; the maximum is 90."),
        ({"days": 0}, "days", "days is 0; the minimum is 1."),
        ({"threshold_percent": "70,000"}, "threshold_percent", "is not a number"),
        ({"kind": "crosses"}, "threshold_percent", "use level"),
        ({"kind": "crosses", "threshold_percent": ""}, "level", "required"),
        ({"kind": "change_since_last", "window_seconds": 60}, "window_seconds", "must be 0"),
        ({"window_seconds": "soon"}, "window_seconds", "it must be a duration such as 300s"),
        ({"email": "ada@example.org"}, "email", "not a known field"),
    ],
)
def test_api_names_the_invalid_field(client: TestClient, query: dict[str, str], field: str, message: str) -> None:
    response = client.get("/api/v1/backtest", params={"coin": "BTC", "threshold_percent": "5"} | query)
    assert response.status_code == 422
    assert message in field_errors(response)[field]


def test_api_parameters_are_documented(client: TestClient) -> None:
    described = client.get("/docs").text.split('id="get-api-v1-backtest"')[1].split("</section>")[0]
    for parameter in ("coin", "level", "window_seconds", "days"):
        assert f"<code>{parameter}</code>" in described
    assert "up to 90" in described


def test_backtests_are_rate_limited(client: TestClient, operator: TestClient) -> None:
    assert client.post("/subscribe/preview", data=FORM | {"coin": "NOPE"}).status_code == 422
    for _ in range(BACKTESTS[0][0]):
        client.app.state.site.backtest_limit.check("testclient")  # type: ignore[attr-defined]
    response = client.get("/api/v1/backtest", params={"coin": "BTC", "threshold_percent": 5})
    assert (response.status_code, response.json()["code"]) == (429, "too_many_requests")
    assert 0 < int(response.headers["retry-after"]) <= 60
    page = client.post("/subscribe/preview", data=FORM)
    assert page.status_code == 429
    assert int(page.headers["retry-after"]) > 0
    assert "Too many backtests" in page.text
    assert operator.get("/api/v1/backtest", params={"coin": "BTC", "threshold_percent": 5}).status_code == 200


@pytest.fixture
def locked_prices(database: Database, market: None) -> Iterator[None]:
    """A lock on the prices, so that reading them waits."""
    with psycopg.connect(database.url("admin")) as connection:
        connection.execute("LOCK TABLE prices IN ACCESS EXCLUSIVE MODE")
        yield
        connection.rollback()


@pytest.mark.usefixtures("locked_prices")
def test_concurrent_backtests_are_limited_and_time_out(
    standalone: FastAPI, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preview, "STATEMENT_TIMEOUT", timedelta(seconds=2))
    object.__setattr__(
        standalone.state.site, "backtest_slots", ConcurrencyLimit("backtests", max_concurrent=2, max_wait_seconds=0.1)
    )
    query: dict[str, str | int] = {"coin": "BTC", "threshold_percent": 5}
    responses: list[tuple[int, str]] = []

    def request_backtest() -> None:
        response = client.get("/api/v1/backtest", params=query)
        responses.append((response.status_code, response.json()["detail"]))

    waiting = [threading.Thread(target=request_backtest) for _ in range(2)]
    for thread in waiting:
        thread.start()
    while not _all_slots_taken(standalone):
        threading.Event().wait(0.01)
    third = client.get("/api/v1/backtest", params=query)
    assert third.status_code == 429
    assert third.headers["retry-after"] == "5"
    assert third.json()["code"] == "busy"
    for thread in waiting:
        thread.join()
    assert responses == [(503, TIMED_OUT)] * 2
    page = client.post("/subscribe/preview", data=FORM)
    assert page.status_code == 503
    assert TIMED_OUT in page.text
    assert 'value="x"' in page.text


def _all_slots_taken(app: FastAPI) -> bool:
    return bool(app.state.site.backtest_slots._slots._value == 0)
