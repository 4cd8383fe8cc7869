"""COINWATCH_SMTP_URL is parsed completely or rejected without showing its password."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coinwatch.errors import ConfigurationError
from coinwatch.smtp_url import MailServer, parse_smtp_url


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://mail.example.org:587", MailServer("mail.example.org", 587, "starttls")),
        ("smtps://mail.example.org", MailServer("mail.example.org", 465, "implicit")),
        ("SMTP://mail.example.org/", MailServer("mail.example.org", 25, "starttls")),
        ("smtp://127.0.0.1:1025?tls=none", MailServer("127.0.0.1", 1025, "none")),
        ("smtp://[::1]:1025?tls=none", MailServer("::1", 1025, "none")),
        ("smtp://me%40here:p%2Fw@m:25", MailServer("m", 25, "starttls", "me@here", "p/w")),
        ("smtps://a:p%C3%A4ss@m", MailServer("m", 465, "implicit", "a", "päss")),
        ("smtps://a:päss@m", MailServer("m", 465, "implicit", "a", "päss")),
        ("smtps://a:p@ss@m", MailServer("m", 465, "implicit", "a", "p@ss")),
        ("smtp://post.müller.example", MailServer("post.xn--mller-kva.example", 25, "starttls")),
        ("smtp://m?ehlo=me.example.org", MailServer("m", 25, "starttls", ehlo="me.example.org")),
    ],
)
def test_valid_url(url: str, server: MailServer) -> None:
    assert parse_smtp_url(url) == server


@pytest.mark.parametrize(
    "url",
    [
        "",
        "mail.example.org",
        "mail.example.org:587",
        "http://mail",
        "smtp://",
        "smtp://m:x",
        "smtp://m:0",
        "smtp://m:99999",
        "smtp://mail..example.org",
        "smtp://mail example.org",
        "smtp://a:b@m?tls=none",
        "smtp://a:b@m?tls=maybe",
        "smtp://a:b@m?starttls=1",
        "smtp://a:b@m?ehlo=two words",
        "smtp://a:b#c@m",
        "smtp://a:b/c@m",
        "smtp://a:b%E4@m",
    ],
)
def test_invalid_url_is_reported_without_its_password(url: str) -> None:
    with pytest.raises(ConfigurationError, match="COINWATCH_SMTP_URL") as caught:
        parse_smtp_url(url)
    assert "a:b" not in str(caught.value)


def test_password_in_another_encoding_than_utf8_is_explained() -> None:
    with pytest.raises(ConfigurationError, match="%E4, which is not UTF-8"):
        parse_smtp_url("smtps://a:p%E4ss@mail.example.org")


@given(st.text(max_size=40).map("smtp://".__add__) | st.text(max_size=40))
def test_no_url_causes_another_error(url: str) -> None:
    try:
        assert parse_smtp_url(url).host
    except ConfigurationError as error:
        assert "COINWATCH_SMTP_URL" in str(error)  # noqa: PT017 - both outcomes are right
