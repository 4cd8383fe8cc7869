"""Requests through reverse proxies: the client's address, the path, other names of the host, HEAD."""

import re
from collections.abc import Callable

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.testclient import TestClient
from structlog.testing import capture_logs

from coinwatch.access.rate_limits import NEW_SUBSCRIPTIONS
from coinwatch.alerts.subscriptions import list_subscriptions
from coinwatch.settings import Settings
from coinwatch.web.app import create_app
from coinwatch.web.middleware.access import Visitor
from coinwatch.web.middleware.identification import identify_by_token
from tests.web.seed import NOW, web_settings

HTML = {"Accept": "text/html"}
FORM = {"email": "ada@example.org", "coin": "BTC", "threshold_percent": "2.5"}
LINK = {"email": "ada@example.org"}
PROXY = "10.0.0.2"
LIMIT = NEW_SUBSCRIPTIONS.limits[0][0]


@pytest.fixture
def make_client(engine: sa.Engine, market: None) -> Callable[..., TestClient]:
    """A client that reaches the standalone app from ``peer``; more options are settings."""

    def make(peer: str = PROXY, **options: object) -> TestClient:
        settings = web_settings(trusted_proxies="10.0.0.0/8, fd00::/8", **options)
        identify = identify_by_token(lambda: settings)
        app = create_app(lambda: engine, lambda: settings, identify=identify, inside_airflow=False, clock=lambda: NOW)
        return TestClient(app, base_url="http://backend.test", client=(peer, 4711), follow_redirects=False)

    return make


def statuses_of_link_requests(client: TestClient, *forwarded: str) -> list[int]:
    """Statuses of requests for a link, up to the limit, and of one more."""
    headers = [("X-Forwarded-For", value) for value in forwarded]
    return [client.post("/sign-in", data=LINK, headers=headers).status_code for _ in range(LIMIT + 1)]


def test_clients_behind_a_trusted_proxy_have_separate_rate_limits(make_client: Callable[..., TestClient]) -> None:
    client = make_client()
    for address in ("198.51.100.1", "198.51.100.2", "2001:db8::1"):
        assert statuses_of_link_requests(client, address) == [200] * LIMIT + [429]


def test_forwarded_address_does_not_evade_the_rate_limit(make_client: Callable[..., TestClient]) -> None:
    direct, through_proxy = make_client("203.0.113.9"), make_client()
    for number in range(LIMIT):
        spoofed = f"198.51.100.{number}"
        headers = {"X-Forwarded-For": spoofed, "X-Real-IP": spoofed, "Forwarded": f"for={spoofed}"}
        assert direct.post("/sign-in", data=LINK, headers=headers).status_code == 200
        # The proxy appends the real address to what the client has sent.
        headers["X-Forwarded-For"] += ", 203.0.113.77"
        assert through_proxy.post("/sign-in", data=LINK, headers=headers).status_code == 200
    assert direct.post("/sign-in", data=LINK, headers={"X-Forwarded-For": "192.0.2.1"}).status_code == 429
    headers = {"X-Forwarded-For": "192.0.2.1, 203.0.113.77", "Forwarded": "for=192.0.2.1"}
    assert through_proxy.post("/sign-in", data=LINK, headers=headers).status_code == 429


def test_ipv4_mapped_clients_have_separate_rate_limits(make_client: Callable[..., TestClient]) -> None:
    for peer in ("::ffff:203.0.113.1", "::ffff:203.0.113.2"):
        assert statuses_of_link_requests(make_client(peer)) == [200] * LIMIT + [429]
    proxied = make_client("::ffff:10.0.0.2")
    for address in ("198.51.100.1", "198.51.100.2"):
        assert statuses_of_link_requests(proxied, address) == [200] * LIMIT + [429]


@pytest.mark.parametrize(
    ("public_url", "root"), [("https://prices.example.org/watch", "/watch"), ("https://example.org/a/b", "/a/b")]
)
def test_pages_work_below_a_path_that_the_proxy_strips_or_not(
    make_client: Callable[..., TestClient], public_url: str, root: str
) -> None:
    client = make_client(public_url=public_url)
    for sent in ("", root):  # what reaches us of the path
        page = client.get(f"{sent}/", headers=HTML)
        assert page.status_code == 200
        [style] = re.findall(r'href="([^"]+/coinwatch\.css)"', page.text)
        assert style.startswith(f"{root}/static/")
        assert client.get(f"{sent}{style.removeprefix(root)}").status_code == 200
        assert f'action="{root}/"' in page.text
        assert f'data-prices="{root}/prices/"' in page.text
        assert f'data-stream="{root}/api/v1/stream"' in page.text
        assert f'action="{root}/subscribe"' in client.get(f"{sent}/subscribe", headers=HTML).text
        assert 'href="/' not in page.text.replace(f'href="{root}/', "")
        assert client.get(f"{sent}/coins?coin=bitcoin").headers["location"] == f"{root}/coins/BTC"
        assert f'href="{root}/api/v1/candles/BTC' in client.get(f"{sent}/coins/BTC", headers=HTML).text
        assert f'href="{root}/openapi.json"' in client.get(f"{sent}/docs", headers=HTML).text
        assert client.get(f"{sent}/openapi.json").json()["servers"] == [{"url": root}]
        assert f'href="{root}/"' in client.get(f"{sent}/nothing", headers=HTML).text
        assert client.post(f"{sent}/subscribe", data=FORM, headers=HTML).status_code == 200
    assert client.get(root, headers=HTML).status_code == 200
    assert client.get(f"{root}x/", headers=HTML).status_code == 404


@pytest.mark.parametrize(
    "path", ["//", "//subscribe", "/subscribe/", "/coins//BTC/", "//static//styles//coinwatch.css", "/docs/"]
)
def test_duplicate_and_trailing_slashes_are_ignored(make_client: Callable[..., TestClient], path: str) -> None:
    assert make_client().get(f"http://backend.test{path}").status_code == 200
    below = make_client(public_url="https://example.org/watch")
    assert below.get(f"http://backend.test/watch{path}").status_code == 200


@pytest.mark.parametrize(
    ("origin", "host", "accepted"),
    [
        ("https://prices.example.org", "backend:18000", True),
        ("https://prices.example.org:443", "backend:18000", True),
        ("https://PRICES.example.org", "backend:18000", True),
        ("http://backend", "backend:80", True),
        ("https://backend", "backend", True),
        ("http://[::1]:18000", "[::1]:18000", True),
        ("https://prices.example.org:8443", "backend:18000", False),
        ("https://prices.example.org.evil.test", "backend:18000", False),
        ("https://evil.test", "backend:18000", False),
        ("http://[", "backend:18000", False),
        ("http://[", "[", False),
        ("http://x:99999", "x:99999", False),
        ("null", "null", False),
        ("", "", False),
        ("file://", "", False),
    ],
)
def test_origin_is_compared_with_the_public_url_and_the_host(
    make_client: Callable[..., TestClient], engine: sa.Engine, origin: str, host: str, accepted: bool
) -> None:
    client = make_client(public_url="https://prices.example.org/watch")
    for cookies in ({}, {"theme": "dark"}):
        client.cookies = cookies
        response = client.post("/subscribe", data=FORM, headers={"Origin": origin, "Host": host})
        assert (response.status_code != 403) is accepted
        assert client.post("/sign-in", data={}, headers={"Origin": origin, "Host": host}).status_code == (
            422 if accepted else 403
        )
    assert bool(list_subscriptions(engine)) is accepted


def test_cross_site_forms_do_not_count_against_the_rate_limit(make_client: Callable[..., TestClient]) -> None:
    client = make_client("203.0.113.1")
    for site in ({"Origin": "https://evil.test"}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}):
        for _ in range(LIMIT + 1):
            assert client.post("/sign-in", data=LINK, headers=site).status_code == 403
    assert statuses_of_link_requests(client) == [200] * LIMIT + [429]


def test_one_click_unsubscribe_may_come_from_another_site(client: TestClient) -> None:
    headers = {"Origin": "https://webmail.test", "Sec-Fetch-Site": "cross-site"}
    response = client.post("/unsubscribe/token", data={"List-Unsubscribe": "One-Click"}, headers=headers)
    assert response.status_code == 422
    assert "link is incomplete" in response.text
    assert client.post("/confirm/token", headers=headers).status_code == 403
    assert client.post("/manage/token", headers=headers).status_code == 403


@pytest.mark.usefixtures("market")
@pytest.mark.parametrize(
    "path",
    ["/", "/health", "/coins/BTC", "/docs", "/openapi.json", "/static/styles/coinwatch.css", "/nothing", "/confirm/x"],
)
def test_head_has_the_headers_of_get_and_no_body(client: TestClient, path: str) -> None:
    get, head = client.get(path, headers=HTML), client.head(path, headers=HTML)
    assert head.status_code == get.status_code
    assert head.headers.items() - {("ratelimit", head.headers["ratelimit"])} <= set(get.headers.items())
    plain = {"Accept-Encoding": "identity"}
    uncompressed = client.get(path, headers=HTML | plain)
    assert client.head(path, headers=HTML | plain).headers["content-length"] == str(len(uncompressed.content))
    assert head.content == b""


@pytest.mark.usefixtures("market")
def test_head_needs_the_same_permission_as_get(client: TestClient, operator: TestClient) -> None:
    assert client.head("/api/v1/status").status_code == 401
    assert operator.head("/api/v1/status").status_code == 200


def test_expired_login_leads_to_the_login_page_and_back(engine: sa.Engine, settings: Settings) -> None:
    async def identify(request: object) -> Visitor | None:
        return None

    mounted = create_app(
        lambda: engine,
        lambda: settings,
        identify=identify,
        inside_airflow=True,
        login_url=lambda path: f"/airflow/login?next={path}",
    )
    airflow = FastAPI()
    airflow.mount("/coinwatch", mounted)
    browser = TestClient(airflow, follow_redirects=False)
    for path, back in (
        ("/", "/coinwatch/"),
        ("/coins/BTC?range=7d", "/coinwatch/coins/BTC"),
        ("/coins/%E5%B8%81", "/coinwatch/coins/%E5%B8%81"),
        ("/manage/secret-token", "/coinwatch/"),
        ("/api/v1/subscribers?email=ada@example.org", "/coinwatch/api/v1/subscribers"),
    ):
        response = browser.get(f"/coinwatch{path}", headers=HTML)
        assert (response.status_code, response.headers["location"]) == (303, f"/airflow/login?next={back}")
    assert browser.get("/coinwatch/").status_code == 401, "programs get an error"
    page = browser.post("/coinwatch/subscribe", data=FORM, headers=HTML)
    assert page.status_code == 401
    assert 'href="/airflow/login?next=/coinwatch/"' in page.text


def test_id_beyond_the_range_of_the_database_is_not_found(operator: TestClient) -> None:
    for number in (2**63, 2**63 - 1, 0, -1, 10**30):
        response = operator.delete(f"/api/v1/subscriptions/{number}")
        assert (response.status_code, response.json()["code"]) == (404, "not_found")
        assert operator.patch(f"/api/v1/subscriptions/{number}", json={"status": "paused"}).status_code == 404


def test_address_of_the_client_is_not_logged(make_client: Callable[..., TestClient]) -> None:
    with capture_logs() as logs:
        make_client().get("/", headers={"X-Forwarded-For": "198.51.100.1"})
    assert "198.51.100.1" not in str(logs)
