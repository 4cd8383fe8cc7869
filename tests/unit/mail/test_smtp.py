"""COINWATCH_SMTP_URL is parsed completely or rejected without showing its password."""

import pytest

from coinwatch.errors import ConfigurationError
from coinwatch.mail.smtp import MailServer, parse_smtp_url


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://mail.example.org:587", MailServer("mail.example.org", 587, "starttls")),
        ("smtps://mail.example.org", MailServer("mail.example.org", 465, "implicit")),
        ("smtp://127.0.0.1:1025?tls=none", MailServer("127.0.0.1", 1025, "none")),
        ("smtp://me%40here:p%2Fw@m:25", MailServer("m", 25, "starttls", "me@here", "p/w")),
    ],
)
def test_valid_url(url: str, server: MailServer) -> None:
    assert parse_smtp_url(url) == server


@pytest.mark.parametrize(
    "url", ["", "mail.example.org", "http://mail", "smtp://", "smtp://m:x", "smtp://a:b@m?tls=none"]
)
def test_invalid_url_is_reported_without_its_password(url: str) -> None:
    with pytest.raises(ConfigurationError, match="COINWATCH_SMTP_URL") as caught:
        parse_smtp_url(url)
    assert "a:b" not in str(caught.value)
