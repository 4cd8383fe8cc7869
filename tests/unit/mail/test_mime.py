"""What a mail program reads out of our bytes is what was put in, whatever it was."""

import re
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any, cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from coinwatch.errors import PermanentEmailError
from coinwatch.mail.mime import ENCODED_BYTES, Picture, assemble, mailbox, unstructured

LINE = st.text(st.characters(exclude_categories=("C", "Z"), include_characters=" "), max_size=300)
# Python's parser leaves a blank between the encoded words of a name (not of a subject), so one word it is.
NAME = LINE.filter(lambda name: len(name.encode()) <= ENCODED_BYTES)
LONGEST_WITH_CRLF = 1000


def built(headers: list[tuple[str, str]], text: str = "text", html: str = "html", png: bytes | None = None) -> bytes:
    picture = Picture(png, "chart@example.org") if png is not None else None
    return assemble(headers, text=text, html=html, boundary="b0", picture=picture)


def read(data: bytes) -> EmailMessage:
    return cast("EmailMessage", message_from_bytes(data, policy=cast("Any", default)))


def content(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")


def check_wire(data: bytes) -> None:
    """What RFC 5321 and 5322 demand of every message."""
    assert data.isascii()
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)|\0", data), "only CRLF ends a line"
    assert max(map(len, data.splitlines(keepends=True))) <= LONGEST_WITH_CRLF


@given(st.text(), st.text(), st.none() | st.binary(max_size=500))
@example("a\rb\0c", "ends with blanks  \n.\n\n=3D --=_b0_a\n", b"")
@example("x" * 2000, "prices\u2003" * 300, None)
@example("--=_b0_a\n", "قیمت\n" * 50, b"\x89PNG")
def test_every_text_and_picture_is_read_back(text: str, html: str, png: bytes | None) -> None:
    data = built([("Subject", "news")], text, html, png)
    check_wire(data)
    message = read(data)
    assert message.defects == []
    for kind, value in (("plain", text), ("html", html)):
        assert content(message, kind) == value.replace("\r\n", "\n")
    kinds = [part.get_content_type() for part in message.walk()]
    assert kinds[:2] == ["multipart/alternative", "text/plain"]
    if png is None:
        assert kinds[2:] == ["text/html"]
    else:
        assert kinds[2:] == ["multipart/related", "text/html", "image/png"]
        picture = list(message.walk())[-1]
        assert (picture.get_content(), picture["Content-ID"]) == (png, "<chart@example.org>")


@given(LINE, NAME)
@example("BTC +5.2% in 10 min: 68,923 USD on " + "Coinbase " * 30, 'Ada "the" \\ Lovelace, Countess')
@example("=?utf-8?b?Qg==?= a  b   c", " ")
@example("é" * 200, "Ω" * 19)
@example("a" * 3000, "=?utf-8?q?x?=")
def test_every_printable_subject_and_name_is_read_back(subject: str, name: str) -> None:
    data = built([("Subject", unstructured(subject)), ("From", mailbox(name, "ada@example.org")), ("X-End", "end")])
    check_wire(data)
    message = read(data)
    assert message["Subject"] == subject
    [sender] = message["From"].addresses
    assert (sender.display_name, sender.addr_spec) == (name, "ada@example.org")
    assert message["X-End"] == "end"
    head = data.split(b"\r\n\r\n")[0]
    assert all(len(line) <= 78 for line in head.splitlines() if len(line.split()) > 2), "folded where it can be"


@given(st.text(max_size=50), st.sampled_from("\r\n\0\x1b\u2028\x85"), st.text(max_size=50))
def test_what_could_start_another_header_is_refused(before: str, break_: str, after: str) -> None:
    value = f"{before}{break_}{after}"
    for header in (lambda: unstructured(value), lambda: mailbox(value, "ada@example.org"), lambda: value):
        with pytest.raises(PermanentEmailError, match="line break or control character"):
            built([("Subject", header())])


def test_a_link_is_never_broken_and_a_header_nobody_can_read_is_refused() -> None:
    link = f"<https://coinwatch.test/unsubscribe/{'x' * 700}>"
    assert f"List-Unsubscribe: {link}\r\n".encode() in built([("List-Unsubscribe", link)])
    for value in ("ä@example.org", "x" * 1000):
        with pytest.raises(PermanentEmailError, match="To"):
            built([("To", value)])
