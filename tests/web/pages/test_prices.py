"""Links of all pages, and what none of them shows."""

import re
from collections.abc import Callable

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.testclient import TestClient

from coinwatch.alerts.rules import Rule
from coinwatch.web.middleware.access import PUBLIC_STANDALONE
from tests.support.subscriptions import subscribe
from tests.web.seed import NOW

HTML = {"Accept": "text/html"}


@pytest.mark.usefixtures("market")
def test_public_pages_show_no_email_address(client: TestClient, engine: sa.Engine) -> None:
    subscribe(
        engine,
        email="secret@example.org",
        coin="BTC",
        rule=Rule(threshold=2),
        now=NOW,
        confirmed=True,
        exchange="kraken",
    )
    for method, path in PUBLIC_STANDALONE:
        if method == "GET" and path != "/api/v1/stream":  # see test_stream.py
            response = client.get(path.replace("{coin}", "BTC"), headers=HTML)
            assert "secret@example.org" not in response.text, path


@pytest.mark.usefixtures("market")
def test_links_inside_airflow_include_the_mount_point(inside_as: Callable[..., TestClient]) -> None:
    browser = inside_as("admin")
    for path in ("/", "/coins/BTC", "/subscribe", "/docs", "/nothing"):
        page = browser.get(f"/coinwatch{path}", headers=HTML).text
        links = set(re.findall(r'(?:href|src|action|data-source)="([^"]*)"', page)) - {"https://www.tradingview.com/"}
        assert len(links) > 5
        for link in links:
            assert re.match("/coinwatch/|[?#]|$", link), (path, link)
    assert browser.get("/coinwatch/coins?coin=btc").headers["location"] == "/coinwatch/coins/BTC"


def test_every_api_route_is_documented(client: TestClient, standalone: FastAPI) -> None:
    page = client.get("/docs").text
    for path in standalone.openapi()["paths"]:
        assert f"<code>{path}</code>" in page
    for scope in ("operator", "subscriptions:read", "subscriptions:write", "alerts:read"):
        assert f'<span class="badge">{scope}</span>' in page
