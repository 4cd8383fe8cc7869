"""Subscribers' webhooks: signed messages from the outbox to a real HTTP server, and which addresses they may reach."""

import base64
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from coinwatch.alerts.rules import Rule
from coinwatch.alerts.users import find_user_id
from coinwatch.clock import utc_now
from coinwatch.errors import InvalidRequest, NotFound, TemporaryEmailError
from coinwatch.notifications import public_http
from coinwatch.notifications.channels import deliver_to_channels
from coinwatch.notifications.public_http import check_url, is_public, post
from coinwatch.notifications.self_test import PER_HOUR, list_tests, queue_test
from coinwatch.notifications.webhooks import (
    delete_webhook,
    get_webhook,
    new_secret,
    rotate_secret,
    set_webhook,
    signature_headers,
)
from coinwatch.pipeline import store_alerts
from coinwatch.setting_sources import PROJECT_ROOT
from coinwatch.settings import Settings
from tests.support.quotes import at, load, quote
from tests.support.settings import make_settings
from tests.support.subscriptions import subscribe

ADA = "ada@example.org"


class Receiver:
    """A real HTTP server that records requests. ``status`` and ``location`` are its response, ``drip`` slows it."""

    def __init__(self) -> None:
        self.status, self.location, self.drip = 200, "", 0.0
        self.requests: list[tuple[dict[str, str], bytes]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.requests.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(receiver.status)
                if receiver.location:
                    self.send_header("Location", receiver.location)
                self.send_header("Content-Length", "500" if receiver.drip else "0")
                self.end_headers()
                for _ in range(500 if receiver.drip else 0):
                    time.sleep(receiver.drip)
                    try:
                        self.wfile.write(b"x")
                    except OSError:
                        return

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hooks?key=1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.server.shutdown()
    receiver.server.server_close()


@pytest.fixture
def settings() -> Settings:
    return make_settings(webhooks_allow_private=True)


@pytest.fixture
def ada(catalog: sa.Engine) -> int:
    subscribe(catalog, email=ADA, coin="BTC", exchange="kraken", rule=Rule(threshold=5), now=at(-1), confirmed=True)
    user_id = find_user_id(catalog, ADA)
    assert user_id is not None
    return user_id


def fire(engine: sa.Engine) -> None:
    load(engine, quote(100.0, 0), quote(110.0, 1))
    store_alerts(engine, at(1))


def verify_as_documented(secret: str, headers: dict[str, str], body: bytes) -> bool:
    """Runs the code in docs/webhooks.md."""
    text = (PROJECT_ROOT / "docs/webhooks.md").read_text(encoding="utf-8")
    [code] = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    namespace: dict[str, Any] = {}
    exec(compile(code, "docs/webhooks.md", "exec"), namespace)
    return bool(namespace["verify"](secret, headers, body))


def test_alert_is_sent_signed(catalog: sa.Engine, settings: Settings, ada: int, receiver: Receiver) -> None:
    set_webhook(catalog, settings, ada, receiver.url, at(0))
    fire(catalog)
    assert deliver_to_channels(catalog, settings).sent == 1
    [(headers, body)] = receiver.requests
    webhook = get_webhook(catalog, ada, utc_now())
    assert webhook
    assert verify_as_documented(webhook.secrets[0], headers, body)
    assert not verify_as_documented(webhook.secrets[0], headers, body + b" ")
    assert not verify_as_documented(new_secret(), headers, body)
    assert not verify_as_documented(webhook.secrets[0], headers | {"webhook-timestamp": "1"}, body)
    message = json.loads(body)
    [alert] = message["data"]["alerts"]
    assert message["type"] == "alerts.fired"
    assert (alert["coin"], alert["value"], alert["reference"], alert["change_percent"]) == ("BTC", 110.0, 100.0, 10.0)
    assert alert["observed_at"] == at(1).isoformat().replace("+00:00", "Z")
    assert ADA not in body.decode()


def test_signature_is_that_of_the_specification() -> None:
    """The example of the specification's reference libraries."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    body = b'{"test": 2432232314}'
    moment = at(0).fromtimestamp(1614265330, at(0).tzinfo)
    headers = signature_headers("msg_p5jXN8AQM9LWM0D4loKWxJek", moment, body, (secret,))
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_message_is_retried_with_the_same_id(
    catalog: sa.Engine, settings: Settings, ada: int, receiver: Receiver
) -> None:
    set_webhook(catalog, settings, ada, receiver.url, at(0))
    fire(catalog)
    receiver.status = 500
    assert deliver_to_channels(catalog, settings).retried == 1
    receiver.status = 204
    assert deliver_to_channels(catalog, settings, clock=lambda: utc_now() + timedelta(minutes=1)).sent == 1
    assert len({headers["webhook-id"] for headers, _ in receiver.requests}) == 1
    assert len({body for _, body in receiver.requests}) == 1


@pytest.mark.parametrize("location", ["http://127.0.0.1:1/", "https://example.org/"])
def test_redirects_are_not_followed(
    catalog: sa.Engine, settings: Settings, ada: int, receiver: Receiver, location: str
) -> None:
    set_webhook(catalog, settings, ada, receiver.url, at(0))
    fire(catalog)
    receiver.status, receiver.location = 307, location
    assert deliver_to_channels(catalog, settings).retried == 1
    assert len(receiver.requests) == 1


def test_receiver_that_is_gone_gets_no_more_messages(
    catalog: sa.Engine, settings: Settings, ada: int, receiver: Receiver
) -> None:
    set_webhook(catalog, settings, ada, receiver.url, at(0))
    receiver.status = 410
    queue_test(catalog, settings, ada, at(0))
    assert deliver_to_channels(catalog, settings).dropped == 1
    webhook = get_webhook(catalog, ada, at(0))
    assert webhook is not None
    assert webhook.disabled_at is not None
    fire(catalog)
    assert deliver_to_channels(catalog, settings).sent == 0
    set_webhook(catalog, settings, ada, receiver.url, at(2))
    webhook = get_webhook(catalog, ada, at(2))
    assert webhook is not None
    assert webhook.disabled_at is None, "saving the URL starts again"


def test_removed_webhook_gets_no_queued_messages(
    catalog: sa.Engine, settings: Settings, ada: int, receiver: Receiver
) -> None:
    set_webhook(catalog, settings, ada, receiver.url, at(0))
    fire(catalog)
    delete_webhook(catalog, ada)
    assert deliver_to_channels(catalog, settings).dropped == 1
    assert receiver.requests == []


def test_both_secrets_sign_for_a_day_after_a_change(catalog: sa.Engine, settings: Settings, ada: int) -> None:
    with pytest.raises(NotFound):
        rotate_secret(catalog, ada, at(0))
    set_webhook(catalog, settings, ada, "https://example.org/a", at(0))
    before = get_webhook(catalog, ada, at(0))
    rotate_secret(catalog, ada, at(0))
    after = get_webhook(catalog, ada, at(0) + timedelta(hours=23))
    assert before
    assert after
    assert after.secrets == (after.secrets[0], before.secrets[0])
    headers = signature_headers("msg_1", at(0), b"{}", after.secrets)
    assert len(headers["webhook-signature"].split(" ")) == 2
    later = get_webhook(catalog, ada, at(0) + timedelta(hours=25))
    assert later
    assert later.secrets == after.secrets[:1]
    set_webhook(catalog, settings, ada, "https://example.org/b", at(0))
    moved = get_webhook(catalog, ada, at(0) + timedelta(hours=25))
    assert moved
    assert (moved.url, moved.secrets) == ("https://example.org/b", later.secrets), "the secret stays"
    assert len(base64.b64decode(moved.secrets[0].removeprefix("whsec_"))) >= 24


def test_nothing_is_sent_if_webhooks_are_disabled(
    catalog: sa.Engine, settings: Settings, ada: int, receiver: Receiver
) -> None:
    set_webhook(catalog, settings, ada, receiver.url, at(0))
    fire(catalog)
    disabled = make_settings(webhooks_allow_private=True, webhooks_enabled=False)
    assert deliver_to_channels(catalog, disabled).dropped == 1
    assert receiver.requests == []
    with pytest.raises(InvalidRequest):
        set_webhook(catalog, disabled, ada, receiver.url, at(0))


def test_tests_are_limited_and_their_result_is_shown(
    catalog: sa.Engine, settings: Settings, ada: int, receiver: Receiver
) -> None:
    set_webhook(catalog, settings, ada, receiver.url, at(0))
    for number in range(PER_HOUR):
        queue_test(catalog, settings, ada, at(number))
    with pytest.raises(InvalidRequest, match="Try again in 55 min"):
        queue_test(catalog, settings, ada, at(PER_HOUR))
    queue_test(catalog, settings, ada, at(61))
    deliver_to_channels(catalog, settings)
    assert {json.loads(body)["type"] for _, body in receiver.requests} == {"test"}
    tests = {test.channel: test for test in list_tests(catalog, ada)}
    assert (tests["webhook"].status, tests["webhook"].created_at) == ("sent", at(61))
    assert tests["email"].status == "queued"


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/",
        "ftp://example.org/",
        "https://",
        "https:///path",
        "https://user:pass@example.org/",
        "https://localhost/",
        "https://metadata/",
        "https://127.0.0.1/",
        "https://127.1/",
        "https://0x7f000001/",
        "https://2130706433/",
        "https://0/",
        "https://10.0.0.1/",
        "https://169.254.169.254/latest",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[fe80::1%25eth0]/",
        "https://[fd00::1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://example.org:0/",
        "https://example.org:99999/",
        "https://example.org/a b",
        "https://example.org/\r\nHost: x",
        "https://exämple.org/",
        "https://[::1",
        "https://example.org/" + "x" * 2000,
        "javascript:alert(1)",
        "",
    ],
)
def test_url_that_may_not_be_public_is_rejected(url: str) -> None:
    with pytest.raises(InvalidRequest) as error:
        check_url(url)
    assert error.value.field == "url"


def test_rejected_url_is_not_repeated() -> None:
    with pytest.raises(InvalidRequest) as error:
        check_url("http://example.org/secret")
    assert "secret" not in str(error.value)


def test_public_url_is_accepted() -> None:
    for url in ("https://example.org/hooks/17?token=x", "https://93.184.216.34/", "https://[2606:4700::1111]:8443/x"):
        assert check_url(f" {url} ") == url


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("192.168.1.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("fe80::1", False),
        ("fc00::1", False),
        ("fec0::1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::a00:1", False),
        ("2002:7f00:1::", False),
        ("ff02::1", False),
    ],
)
def test_public_addresses(address: str, public: bool) -> None:
    import ipaddress

    assert is_public(ipaddress.ip_address(address)) is public


def test_name_that_resolves_to_a_private_address_is_not_called(
    monkeypatch: pytest.MonkeyPatch, receiver: Receiver
) -> None:
    """Also if another of its addresses is public (DNS rebinding)."""
    answers = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443)) for address in ("8.8.8.8", "127.0.0.1")]
    monkeypatch.setattr(public_http.socket, "getaddrinfo", lambda *_, **__: answers)
    with pytest.raises(TemporaryEmailError, match="its address is not public") as error:
        post("https://rebinding.example/secret", b"{}", {}, seconds=2)
    assert "secret" not in str(error.value)


def test_body_is_not_read_longer_than_the_time_limit(receiver: Receiver) -> None:
    receiver.drip = 0.1
    started = time.monotonic()
    assert post(receiver.url, b"{}", {}, seconds=1, allow_private=True) == 200
    assert time.monotonic() - started < 5


def test_silent_receiver_is_given_up_after_the_time_limit() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for scheme in ("http", "https"):
            started = time.monotonic()
            with pytest.raises(TemporaryEmailError, match=r"timeout|timed out"):
                post(f"{scheme}://127.0.0.1:{silent.getsockname()[1]}", b"{}", {}, seconds=1, allow_private=True)
            assert time.monotonic() - started < 5


def test_certificate_is_checked(tmp_path: Path) -> None:
    """A server that speaks no TLS, as a private service might."""
    receiver = Receiver()
    with pytest.raises(TemporaryEmailError):
        post(receiver.url.replace("http:", "https:"), b"{}", {}, seconds=3, allow_private=True)
    assert receiver.requests == []
    receiver.server.shutdown()
    receiver.server.server_close()


def test_unreachable_receiver_is_retried(catalog: sa.Engine, settings: Settings, ada: int) -> None:
    set_webhook(catalog, settings, ada, "http://127.0.0.1:9/secret-path", at(0))
    fire(catalog)
    assert deliver_to_channels(catalog, settings).retried == 1
    with catalog.connect() as connection:
        error = connection.execute(sa.text("SELECT last_error FROM outbox WHERE channel = 'webhook'")).scalar_one()
    assert "127.0.0.1" in error
    assert "secret-path" not in error
