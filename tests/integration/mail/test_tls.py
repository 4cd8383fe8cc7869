"""Emails over TLS and with a login, to a real server whose certificate is trusted, or not."""

import hmac
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from coinwatch.errors import MailServerUnavailable
from coinwatch.mail.compose import Email
from coinwatch.mail.connection import MailConnection
from coinwatch.mail.smtp import parse_smtp_url
from tests.support.ports import free_port
from tests.support.smtp_server import (
    CHALLENGE,
    Mailbox,
    ReplyServer,
    reply_server,
    self_signed_certificate,
    smtp_server,
)

SECRET = "p/w:with@signs"
ENCODED = "p%2Fw%3Awith%40signs"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return self_signed_certificate(tmp_path_factory.mktemp("tls"))


@contextmanager
def serving(certificate: tuple[Path, Path], *, implicit: bool) -> Iterator[Mailbox]:
    """A server that accepts email only over TLS, and with STARTTLS only from ada."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    mailbox = Mailbox(port=free_port())

    def known(server: SMTP, session: Any, envelope: Any, mechanism: str, given: Any) -> AuthResult:
        right = isinstance(given, LoginPassword) and (given.login, given.password) == (b"ada", SECRET.encode())
        return AuthResult(success=right, handled=right)

    # aiosmtpd offers a login only after STARTTLS.
    login = {} if implicit else {"auth_required": True, "authenticator": known}

    class TlsController(Controller):  # type: ignore[misc]
        def factory(self) -> SMTP:
            tls = {} if implicit else {"tls_context": context, "require_starttls": True}
            return SMTP(self.handler, enable_SMTPUTF8=False, **login, **tls)

        def _trigger_server(self) -> None:
            """Replaces aiosmtpd's trial connection, which fails with a server-only context."""
            trusting = ssl.create_default_context(cafile=str(certificate[0]))
            with socket.create_connection(("127.0.0.1", self.port), 5) as plain:
                if not implicit:
                    plain.recv(64)
                    return
                with trusting.wrap_socket(plain, server_hostname="127.0.0.1") as encrypted:
                    encrypted.recv(64)

    implicitly = {"ssl_context": context} if implicit else {}
    controller = TlsController(mailbox, hostname="127.0.0.1", port=mailbox.port, **implicitly)
    controller.start()
    try:
        yield mailbox
    finally:
        controller.stop()


def send(url: str) -> None:
    with MailConnection(parse_smtp_url(url)) as connection:
        for name in "abc":
            connection.send(Email("alerts@coinwatch.test", f"{name}@example.org", b"Subject: x\r\n\r\nhello\r\n"))


@pytest.mark.parametrize("implicit", [False, True])
def test_emails_are_sent_over_verified_tls(
    certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, *, implicit: bool
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    with serving(certificate, implicit=implicit) as mailbox:
        start = "smtps://" if implicit else f"smtp://ada:{ENCODED}@"
        send(f"{start}127.0.0.1:{mailbox.port}")
        assert len(mailbox.messages) == 3


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_untrusted_server_receives_neither_password_nor_email(certificate: tuple[Path, Path], scheme: str) -> None:
    with serving(certificate, implicit=scheme == "smtps") as mailbox:
        with pytest.raises(MailServerUnavailable, match="SSL_CERT_FILE") as caught:
            send(f"{scheme}://ada:{ENCODED}@127.0.0.1:{mailbox.port}")
        assert SECRET not in str(caught.value)
        assert mailbox.messages == []


def test_wrong_password_points_to_the_setting(certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    with serving(certificate, implicit=False) as mailbox:
        with pytest.raises(MailServerUnavailable, match="COINWATCH_SMTP_URL") as caught:
            send(f"smtp://ada:guessed@127.0.0.1:{mailbox.port}")
        assert "guessed" not in str(caught.value)


def test_server_without_starttls_receives_nothing_in_plain_text() -> None:
    with smtp_server() as mailbox:
        with pytest.raises(MailServerUnavailable, match=r"add \?tls=none"):
            send(f"smtp://127.0.0.1:{mailbox.port}")
        assert mailbox.messages == []


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5"])
def test_user_and_password_are_sent_as_utf8(
    certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, mechanism: str
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    user, password = "jörg", "päss 密码"
    with reply_server(ReplyServer(certificate=certificate, mechanism=mechanism)) as server:
        send(f"smtp://{quote(user)}:{quote(password)}@127.0.0.1:{server.port}")
        digest = hmac.new(password.encode(), CHALLENGE, "md5").hexdigest()
        said = {
            "PLAIN": [f"\0{user}\0{password}"],
            "LOGIN": [user, password],
            "CRAM-MD5": [f"{user} {digest}"],
        }
        assert [login.decode() for login in server.logins] == said[mechanism]
        assert len(server.recipients) == 3


def test_starttls_to_a_port_with_implicit_tls_is_explained(
    certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("coinwatch.mail.smtp.TIMEOUT_SECONDS", 0.5)
    with (
        serving(certificate, implicit=True) as mailbox,
        pytest.raises(MailServerUnavailable, match="use smtps:// instead"),
    ):
        send(f"smtp://127.0.0.1:{mailbox.port}")


def test_refused_connection_is_not_blamed_on_tls() -> None:
    with pytest.raises(MailServerUnavailable, match=r"cannot connect to 127\.0\.0\.1") as caught:
        send(f"smtp://127.0.0.1:{free_port()}")
    assert "smtps" not in str(caught.value)


def test_rejected_login_is_reported_if_the_server_closes_the_connection(
    certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    rejection = ReplyServer("AUTH", [b"535 5.7.8 bad credentials"], None, certificate, "PLAIN LOGIN", closes=True)
    with (
        reply_server(rejection) as server,
        pytest.raises(MailServerUnavailable, match=r"rejects our login.*535 5\.7\.8"),
    ):
        send(f"smtp://ada:{ENCODED}@127.0.0.1:{server.port}")


def test_greeting_name_can_be_chosen() -> None:
    with smtp_server() as mailbox:
        send(f"{mailbox.url}&ehlo=coinwatch.example.org")
        assert mailbox.client_names == ["coinwatch.example.org"]


def test_implicit_tls_to_a_starttls_server_is_explained(certificate: tuple[Path, Path]) -> None:
    with (
        serving(certificate, implicit=False) as mailbox,
        pytest.raises(MailServerUnavailable, match="use smtp:// instead"),
    ):
        send(f"smtps://127.0.0.1:{mailbox.port}")
