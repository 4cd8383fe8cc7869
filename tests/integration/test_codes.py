"""Coins with codes outside A-Z and 0-9, through the whole product."""

import json
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from coinwatch import pipeline
from coinwatch.alerts.rules import Rule
from coinwatch.alerts.subscriptions import list_subscriptions
from coinwatch.codes import code_key, parse_code
from coinwatch.database import transaction
from coinwatch.errors import NotFound
from coinwatch.gauges import escape_code
from coinwatch.mail.delivery import deliver_emails
from coinwatch.pipeline import collect_prices, store_alerts
from coinwatch.prices.catalog import find_instrument, find_watched_instruments
from coinwatch.prices.history.as_of import compare_exchange_prices
from coinwatch.prices.history.latest import read_latest_prices
from coinwatch.settings import Settings
from coinwatch.web.app import create_app
from coinwatch.web.middleware.identification import identify_by_token
from tests.conftest import Database
from tests.exchange_server import ExchangeServer
from tests.exchange_server.market import QUOTE_CURRENCIES
from tests.support.command_line import Command, run_coinwatch
from tests.support.settings import EXCHANGES, exchange, make_settings
from tests.support.smtp_server import Mailbox
from tests.support.subscriptions import subscribe

CODES = {"1INCH": 0.31, "USDT.E": 1.001, "币安人生": 0.17, "kPEPE": 0.0061, "GTC_HT": 2.5, "$WIF": 0.9, "A+B": 7.0}
HTML = {"Accept": "text/html"}
KNOWN = {**EXCHANGES, "bitstamp": exchange("Bitstamp", adapter="ccxt", ccxt_id="bitstamp")}


@pytest.fixture
def settings(exchange_server: ExchangeServer) -> Settings:
    exchanges = {}
    for code in ("kraken", "coinbase", "binance", "bitstamp"):
        pairs = [f"{base}/{QUOTE_CURRENCIES[code]}" for base in CODES]
        exchanges[code] = {**KNOWN[code], "instruments": pairs, "base_url": exchange_server.base_url(code)}
        for base, price in CODES.items():
            exchange_server.market.set_price(code, base, QUOTE_CURRENCIES[code], price)
    coins = {code: {"name": f"Coin {number}"} for number, code in enumerate(CODES)}
    return make_settings(coins=coins, exchanges=exchanges)


@pytest.fixture
def prices(engine: sa.Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """One cycle has run; the gauges it sent."""
    sent: dict[str, float] = {}
    monkeypatch.setattr("coinwatch.gauges.send_gauges", lambda settings, values: sent.update(values) or True)
    monkeypatch.setattr(pipeline, "send_gauges", lambda settings, values: sent.update(values) or True)
    result = collect_prices(engine, settings, datetime.now(UTC))
    assert not result.failed
    return sent


@pytest.fixture
def client(engine: sa.Engine, settings: Settings) -> TestClient:
    app = create_app(
        lambda: engine, lambda: settings, identify=identify_by_token(lambda: settings), inside_airflow=False
    )
    return TestClient(app)


@pytest.fixture
def coinwatch(database: Database, tmp_path: Path) -> Command:
    """``coinwatch(*arguments)`` runs a command with the configured coins."""
    coins = "\n".join(
        f'{json.dumps(code, ensure_ascii=False)} = {{ name = "Coin {number}" }}' for number, code in enumerate(CODES)
    )
    pairs = json.dumps([f"{code}/USD" for code in CODES], ensure_ascii=False)
    exchange = f'[exchanges.kraken]\nname = "Kraken"\nbase_url = "http://127.0.0.1:1"\ninstruments = {pairs}'
    (tmp_path / "coinwatch.toml").write_text(f"[coins]\n{coins}\n{exchange}\n", encoding="utf-8")
    environment = {
        "COINWATCH_DATABASE_URL": database.url("app"),
        "COINWATCH_CONFIG": str(tmp_path / "coinwatch.toml"),
        "COINWATCH_STATSD_PORT": "1",
        "COLUMNS": "200",
    }
    return lambda *arguments: run_coinwatch(*map(str, arguments), environment=environment, folder=tmp_path)


@pytest.mark.parametrize("code", CODES)
@pytest.mark.usefixtures("prices")
def test_price_is_collected_from_every_exchange(engine: sa.Engine, code: str) -> None:
    found = read_latest_prices(engine, datetime.now(UTC), code)

    assert {price.exchange for price in found} == {"kraken", "coinbase", "binance", "bitstamp", "index"}
    assert {price.base for price in found} == {code}
    assert {price.price for price in found} == {CODES[code]}


@pytest.mark.parametrize("code", CODES)
@pytest.mark.usefixtures("prices")
def test_coin_is_found_in_any_case(engine: sa.Engine, code: str) -> None:
    with transaction(engine) as connection:
        for spelling in (code, code.lower(), code.upper(), f" {code} "):
            assert find_instrument(connection, spelling, "kraken", "usd").base == code
            assert find_watched_instruments(connection, "kraken", [f"{spelling.strip()}/usd"])
        with pytest.raises(NotFound, match="not priced in eur"):
            find_instrument(connection, code, "kraken", "eur")
    compared = compare_exchange_prices(
        engine, code.lower(), "usd", moment=datetime.now(UTC), fresh=timedelta(minutes=15)
    )
    assert compared.base == code


@pytest.mark.parametrize("code", CODES)
@pytest.mark.usefixtures("prices")
def test_pages_and_api_link_and_show_the_coin(client: TestClient, code: str) -> None:
    path = quote(code, safe="")
    page = client.get(f"/coins/{path}", headers=HTML)
    assert page.status_code == 200
    assert code in page.text
    assert f'href="/coins/{path}"' in client.get("/", headers=HTML).text
    found = client.get("/coins", params={"coin": code.lower()}, headers=HTML, follow_redirects=False)
    assert found.headers["location"] == f"/coins/{path}"
    form = client.get("/subscribe", params={"coin": code.lower(), "exchange": "kraken", "quote": "usd"}, headers=HTML)
    assert f'<option value="{code}" selected>' in form.text
    assert client.get(f"/api/v1/prices/{path}").json()[0]["base"] == code
    assert client.get("/api/v1/history/" + path, params={"exchange": "kraken"}).status_code == 200
    assert client.get("/api/v1/candles/" + path, params={"resolution": "1m"}).status_code == 200


@pytest.mark.parametrize("code", CODES)
@pytest.mark.usefixtures("prices")
def test_alert_is_created_by_form_and_api(client: TestClient, engine: sa.Engine, code: str) -> None:
    form = {"email": "ada@example.org", "coin": code, "exchange": "kraken", "quote": "USD", "threshold_percent": "2.5"}
    assert client.post("/subscribe", data=form, headers=HTML).status_code in {200, 201}
    request = {"email": "bob@example.org", "coin": code.lower(), "threshold_percent": 3}
    assert client.post("/api/v1/subscriptions", json=request).status_code == 202
    assert {subscription.base for subscription in list_subscriptions(engine)} == {code}


@pytest.mark.parametrize("code", CODES)
@pytest.mark.usefixtures("prices")
def test_commands_find_and_print_the_coin(coinwatch: Command, tmp_path: Path, code: str) -> None:
    lower = code.lower()
    for command in (
        ("prices", lower),
        ("history", lower, "--exchange", "kraken"),
        ("compare", lower),
    ):
        done = coinwatch(*command)
        assert done.returncode == 0, done.stderr
        assert code in done.stdout


@pytest.mark.parametrize("code", CODES)
@pytest.mark.usefixtures("prices")
def test_alert_email_names_the_coin(
    engine: sa.Engine, settings: Settings, exchange_server: ExchangeServer, mailbox: Mailbox, code: str
) -> None:
    now = datetime.now(UTC)
    rule = Rule(kind="change_since_last", direction="either", threshold=5.0)
    subscribe(engine, email="ada@example.org", coin=code, exchange="kraken", rule=rule, now=now, confirmed=True)
    exchange_server.market.set_price("kraken", code, "USD", CODES[code] * 1.2)
    collect_prices(engine, settings, datetime.now(UTC))

    store_alerts(engine, datetime.now(UTC))
    deliver_emails(engine, settings.model_copy(update={"smtp_url": SecretStr(mailbox.url)}))

    (message,) = mailbox.messages
    text = message.get_body(("plain",))
    html = message.get_body(("html",))
    assert code in str(message["Subject"])
    assert text is not None
    assert code in text.get_content()
    assert html is not None
    assert code in unescape(html.get_content())


def test_gauges_have_a_safe_name_for_each_code(prices: dict[str, float]) -> None:
    names = [name for name in prices if name.startswith("prices.kraken.") and name.endswith(".price")]

    assert len(names) == len(CODES)
    assert all(name.isascii() and len(name.split(".")) == 5 for name in names)
    assert prices["prices.kraken.usdt_2ee.usd.price"] == CODES["USDT.E"]
    assert prices["prices.kraken.xn--gmq052af0bo42b.usd.price"] == CODES["币安人生"]


@given(st.lists(st.text("abAB01._-$+!*币é", min_size=1, max_size=8), min_size=2, max_size=2))
def test_gauge_names_of_different_codes_differ(texts: list[str]) -> None:
    codes = []
    for text in texts:
        try:
            codes.append(parse_code(text))
        except ValueError:
            return
    first, second = codes
    assert (escape_code(first) == escape_code(second)) == (code_key(first) == code_key(second))
