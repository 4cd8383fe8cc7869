"""The web app behind a real nginx, configured as documented: TLS, another host name, below a path."""

import http.client
import re
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path

import httpx2 as httpx
import pytest
import sqlalchemy as sa
from playwright.sync_api import Browser, expect

from coinwatch.access.rate_limits import NEW_SUBSCRIPTIONS
from coinwatch.alerts.subscriptions import list_subscriptions
from coinwatch.settings import Settings
from tests.conftest import Database
from tests.support.nginx import Proxy, documented_proxy
from tests.support.ports import free_port
from tests.support.smtp_server import Mailbox
from tests.support.web_server import COINWATCH, start_web, wait_for_health, web_environment
from tests.web.browsing import fill_in_form
from tests.web.seed import seed_market

HTML = {"Accept": "text/html"}
FORM = {"email": "ada@example.org", "coin": "BTC", "threshold_percent": "2.5"}
LIMIT = NEW_SUBSCRIPTIONS.limits[0][0]
TOKEN = r"[\w.=-]{20,}"
# What proxies do to requests.
STRIPPED = ":18000; => :18000/;"
HOST_CHANGED = "proxy_set_header Host $http_host; => proxy_set_header Host backend;"
HTTP_1_0 = "proxy_http_version 1.1; => proxy_http_version 1.0;"
COMPRESSED = "proxy_http_version 1.1; => proxy_http_version 1.1; gzip on; gzip_min_length 1;"


@dataclass(frozen=True)
class Site:
    """``coinwatch web`` behind nginx."""

    proxy: Proxy
    port: int
    environment: dict[str, str]
    process: "subprocess.Popen[str]"
    stack: ExitStack

    @property
    def url(self) -> str:
        return f"https://{self.proxy.host}/coinwatch"

    def client(self, address: str = "127.0.0.9") -> httpx.Client:
        """A client with its own address, that knows the server by its public name."""
        transport = httpx.HTTPTransport(verify=self.proxy.trust, local_address=address)
        base_url = f"https://127.0.0.1:{self.proxy.port}"
        headers = {"Host": self.proxy.host} | HTML
        return self.stack.enter_context(httpx.Client(transport=transport, base_url=base_url, headers=headers))

    def log(self) -> str:
        """Everything that the server has logged; stops it."""
        self.process.terminate()
        return self.process.communicate(timeout=20)[0]


@pytest.fixture
def serve(
    tmp_path: Path, database: Database, engine: sa.Engine, settings: Settings, mailbox: Mailbox, assets: None
) -> Iterator[Callable[..., Site]]:
    seed_market(engine, settings, datetime.now(UTC))
    with ExitStack() as stack:

        def start(*changes: str) -> Site:
            port, public = free_port(), free_port()
            environment = web_environment(
                database,
                COINWATCH_PUBLIC_URL=f"https://prices.localhost:{public}/coinwatch",
                COINWATCH_SMTP_URL=mailbox.url,
                COINWATCH_EMAIL_FROM="coinwatch <alerts@example.org>",
            )
            process = stack.enter_context(start_web(environment, port))
            stack.callback(process.kill)
            wait_for_health(port)
            backends = {"18000": port, "8080": free_port()}
            proxy = stack.enter_context(documented_proxy(tmp_path, public, backends, changes))
            return Site(proxy, port, dict(environment), process, stack)

        yield start


@pytest.mark.parametrize(
    "changes",
    [[], [STRIPPED], [HOST_CHANGED], [STRIPPED, HOST_CHANGED, HTTP_1_0], [COMPRESSED]],
    ids=["as documented", "path stripped", "host changed", "all of it over HTTP/1.0", "compressed"],
)
def test_pages_forms_and_links_in_emails_work(
    serve: Callable[..., Site], engine: sa.Engine, mailbox: Mailbox, changes: list[str]
) -> None:
    site = serve(*changes)
    client = site.client()
    origin = {"Origin": f"https://{site.proxy.host}"}
    page = client.get("/coinwatch/")
    assert page.status_code == 200
    targets = set(re.findall(r'(?:href|src|action|data-source)="(/[^"]*)"', page.text))
    assert {target.partition("/coinwatch/")[0] for target in targets} == {""}
    for target in targets - {"/coinwatch/subscribe/preview#preview"}:
        assert client.get(target.replace("&amp;", "&"), follow_redirects=True).status_code == 200, target
    assert client.get("/coinwatch").headers["location"] == f"{site.url}/"
    head = client.head("/coinwatch/docs")
    assert head.status_code == 200
    assert head.content == b""

    response = client.post("/coinwatch/subscribe", data=FORM, headers=origin)
    assert response.status_code == 200
    assert client.post("/coinwatch/subscribe", data=FORM, headers={"Origin": "https://evil.test"}).status_code == 403

    email = deliver(site, mailbox)
    confirm = link_to("confirm", site, email)
    assert "Confirm" in client.get(confirm).text
    confirmed = client.post(confirm, headers=origin)
    assert [subscription.status for subscription in list_subscriptions(engine)] == ["active"]
    assert 'href="/coinwatch/account"' in confirmed.text
    assert {"Path=/coinwatch", "Secure", "HttpOnly"} <= set(confirmed.headers["set-cookie"].split("; "))
    settings_saved = client.post("/coinwatch/account/settings", data={"timezone": "Europe/Berlin"}, headers=origin)
    assert settings_saved.headers["location"] == "/coinwatch/account/settings?done=saved"
    assert client.post("/coinwatch/account/unsubscribe", headers=origin).status_code == 303
    assert [subscription.status for subscription in list_subscriptions(engine)] == ["unsubscribed"]

    for log in (site.proxy.log(), site.log()):
        assert "account" in log
        for secret in (confirm.rpartition("/")[2], client.cookies["coinwatch_session"], FORM["email"]):
            assert secret not in log


def deliver(site: Site, mailbox: Mailbox) -> EmailMessage:
    subprocess.run([COINWATCH, "deliver-emails"], env=site.environment, check=True, capture_output=True, cwd="/")
    [email] = mailbox.messages
    return email


def link_to(page: str, site: Site, email: EmailMessage) -> str:
    """Path of the link in the email."""
    text = email.get_body(("plain",))
    assert text is not None
    [link] = set(re.findall(rf"{re.escape(site.url)}/{page}/{TOKEN}", text.get_content()))
    return str(link.removeprefix(f"https://{site.proxy.host}"))


def test_rate_limits_count_each_client_of_the_proxy(serve: Callable[..., Site]) -> None:
    site = serve()
    for address in ("127.0.0.2", "127.0.0.3"):
        found = []
        for number in range(LIMIT + 1):
            spoofed = {"X-Forwarded-For": f"198.51.100.{number}", "Forwarded": f"for=198.51.100.{number}"}
            response = site.client(address).post("/coinwatch/sign-in", data={"email": FORM["email"]}, headers=spoofed)
            found.append(response.status_code)
        assert found == [200] * LIMIT + [429]


def test_error_pages_and_redirects_stay_below_the_path(serve: Callable[..., Site]) -> None:
    client = serve(STRIPPED).client()
    for path, status in (("/nothing", 404), ("/coins/XYZ", 404), ("/confirm/x", 422), ("/manage/x", 422)):
        page = client.get(f"/coinwatch{path}")
        assert page.status_code == status
        assert 'href="/coinwatch/"' in page.text
    assert client.get("/coinwatch/coins?coin=//evil.test").headers["location"].startswith("/coinwatch/")
    assert client.get("/coinwatch/coins?coin=bitcoin").headers["location"] == "/coinwatch/coins/BTC"
    assert client.get("/coinwatch/subscribe/preview").headers["location"] == "/coinwatch/subscribe"


def test_old_and_odd_clients_get_complete_responses(serve: Callable[..., Site]) -> None:
    """HTTP/1.0, no Host, an IPv6 host, an invalid host, bytes that are not UTF-8."""
    site = serve()
    for request in (
        b"GET /coins HTTP/1.0\r\n\r\n",
        b"GET /coins HTTP/1.1\r\nHost: [::1]:18000\r\nConnection: close\r\n\r\n",
        b"GET /coins HTTP/1.1\r\nHost: [\r\nConnection: close\r\n\r\n",
        b"GET /coins HTTP/1.1\r\nHost: \r\nConnection: close\r\n\r\n",
        b"GET /coins?coin=%FF HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET /coins?x=\xff HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET /coins/%FF HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET /coins HTTP/1.1\r\nHost: x\r\nAccept: \xff\r\nCookie: \xff=\xff; ;=\r\nConnection: close\r\n\r\n",
        b"GET /coins HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: \xff,,,\r\nConnection: close\r\n\r\n",
        b"GET /coins HTTP/1.1\r\nHost: x\r\nX-Forwarded-Proto: gopher\r\nConnection: close\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", site.port), timeout=20) as connection:
            connection.sendall(request)
            response = http.client.HTTPResponse(connection)
            response.begin()
            assert response.status < 500, request
            response.read()
    assert "Traceback" not in site.log()


@pytest.mark.browser
def test_alert_is_created_and_confirmed_in_a_browser(
    serve: Callable[..., Site], browser: Browser, engine: sa.Engine, mailbox: Mailbox
) -> None:
    site = serve()
    context = browser.new_context(ignore_https_errors=True)
    page = context.new_page()
    failed: list[str] = []
    page.on("response", lambda response: failed.append(response.url) if response.status >= 400 else None)
    page.on("console", lambda message: failed.append(message.text) if message.type == "error" else None)
    page.goto(f"{site.url}/coins/BTC")
    expect(page.locator("#chart canvas").first).to_be_visible()
    page.goto(f"{site.url}/subscribe")
    fill_in_form(page)
    expect(page.locator("main")).to_contain_text("ada@example.org")
    page.goto(f"https://{site.proxy.host}{link_to('confirm', site, deliver(site, mailbox))}")
    page.get_by_role("button", name="Confirm").click()
    page.get_by_role("link", name="My alerts").last.click()
    expect(page.locator("main")).to_contain_text("BTC/USD")
    assert [subscription.status for subscription in list_subscriptions(engine)] == ["active"]
    assert failed == []
    context.close()
