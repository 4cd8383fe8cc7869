"""A mail's bytes: headers, text, HTML and perhaps a picture in it, in seven bits with CRLF line ends.

The standard library's EmailMessage takes a millisecond for one mail, mostly for parsing back the headers it is given.
Ours are few and known, so they are put together here in a tenth of that; tests hold what a parser reads out of these
bytes equal to what was put in.

    multipart/alternative
      text/plain
      multipart/related        only where there is a picture
        text/html
        image/png              Content-ID, which the HTML names as cid:…
"""

import re
from binascii import b2a_base64, b2a_qp
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from coinwatch.errors import PermanentEmailError

HEADER_LINE = 78  # RFC 5322, 2.1.1: should; 998 must
LONGEST_LINE = 998
ENCODED_BYTES = 39  # of UTF-8 in one encoded word: with the header's name a line has 76 characters (RFC 2047, 2)
BASE64_LINE = 57  # bytes that make a line of 76 characters
PICTURES = 256  # kept encoded: everybody who hears of the same value gets the same one
PLAIN_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]*")  # RFC 5322's atoms with blanks between


@dataclass(frozen=True, slots=True)
class Picture:
    """A PNG inside the HTML, which names it as ``cid:`` and its Content-ID (an address without its brackets)."""

    png: bytes
    content_id: str


def assemble(
    headers: Sequence[tuple[str, str]], *, text: str, html: str, boundary: str, picture: Picture | None = None
) -> bytes:
    """The whole message. ``boundary`` is the same for the same mail and stands in no other one.

    Raises PermanentEmailError for a header that would start another one.
    """
    lines = [f"{name}: {_folded(name, value)}\r\n".encode("ascii") for name, value in headers]
    outer, inner = f"=_{boundary}_a", f"=_{boundary}_r"
    lines += [
        b"MIME-Version: 1.0\r\n",
        f'Content-Type: multipart/alternative; boundary="{outer}"\r\n\r\n--{outer}\r\n'.encode("ascii"),
        _text_part("plain", text),
        f"\r\n--{outer}\r\n".encode("ascii"),
    ]
    if picture is None:
        lines.append(_text_part("html", html))
    else:
        lines += [
            f'Content-Type: multipart/related; type="text/html"; boundary="{inner}"\r\n\r\n'.encode("ascii"),
            f"--{inner}\r\n".encode("ascii"),
            _text_part("html", html),
            f"\r\n--{inner}\r\n".encode("ascii"),
            b"Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n",
            b'Content-Disposition: inline; filename="chart.png"\r\n',
            f"Content-ID: {_folded('Content-ID', f'<{picture.content_id}>')}\r\n\r\n".encode("ascii"),
            _encoded_picture(picture.png),
            f"\r\n--{inner}--\r\n".encode("ascii"),
        ]
    lines.append(f"\r\n--{outer}--\r\n".encode("ascii"))
    return b"".join(lines)


def mailbox(name: str, address: str) -> str:
    """A From header's value: the name in the form that its characters need, and the address."""
    if not name:
        return address
    if not _is_plain(name) or "  " in name or name != name.strip():
        return f"{_encoded_words(_checked(name))} <{address}>"
    if PLAIN_NAME.fullmatch(name):
        return f"{name} <{address}>"
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}" <{address}>'


def unstructured(value: str) -> str:
    """A free text for a header, such as a subject: as it is where that is safe, else as encoded words."""
    _checked(value)
    words = value.split(" ")
    plain = _is_plain(value) and value == value.strip() and max(map(len, words)) < LONGEST_LINE - HEADER_LINE
    return value if plain else _encoded_words(value)


def _checked(value: str) -> str:
    """The value, which cannot start another header."""
    if not value.isprintable():
        raise PermanentEmailError(f"a header value has a line break or control character in it: {value!r}")
    return value


def _is_plain(value: str) -> bool:
    return value.isascii() and "=?" not in value


def _encoded_words(value: str) -> str:
    """RFC 2047: UTF-8 in base64, a character never in two words, which a reader puts together without the blanks."""
    return " ".join(
        f"=?utf-8?b?{b2a_base64(piece, newline=False).decode('ascii')}?=" for piece in _pieces(value, ENCODED_BYTES)
    )


def _pieces(value: str, longest: int) -> Iterator[bytes]:
    data, start = value.encode(), 0
    while len(data) - start > longest:
        end = start + longest
        while data[end] & 0xC0 == 0x80:  # inside a character
            end -= 1
        yield data[start:end]
        start = end
    yield data[start:]


def _folded(name: str, value: str) -> str:
    """The value over as many lines as it needs, broken at single blanks only."""
    if not _checked(value).isascii():
        raise PermanentEmailError(f"the header {name} cannot be written in ASCII: {value!r}")
    if len(name) + 2 + len(value) <= HEADER_LINE:
        return value
    lines, room = [""], HEADER_LINE - len(name) - 2
    for position, word in enumerate(re.split(r"(?<! ) (?! )", value)):
        if not position:
            lines[-1] = word
        elif len(lines[-1]) + 1 + len(word) <= room:
            lines[-1] += f" {word}"
        else:
            lines.append(f" {word}")
            room = HEADER_LINE
    if max(map(len, lines)) > LONGEST_LINE - len(name) - 2:
        raise PermanentEmailError(f"the header {name} has a word of more than {LONGEST_LINE} characters")
    return "\r\n".join(lines)


def _text_part(subtype: str, text: str) -> bytes:
    """Headers and body of one text: as it is where seven bits and short lines allow, else encoded."""
    text = text.replace("\r\n", "\n")
    if "\r" in text or "\0" in text:
        data, encoding = _base64(text.encode()), b"base64"
    elif text.isascii() and "--=_" not in text and max(map(len, text.split("\n"))) <= LONGEST_LINE:
        data, encoding = text.replace("\n", "\r\n").encode("ascii"), b"7bit"
    else:
        utf8 = text.encode()
        if len(utf8) - len(text) > len(text) // 4:  # three characters for each such byte are more than base64 takes
            data, encoding = _base64(utf8), b"base64"
        else:
            data, encoding = b2a_qp(utf8, istext=True).replace(b"\n", b"\r\n"), b"quoted-printable"
    charset = b"us-ascii" if encoding == b"7bit" else b"utf-8"
    return b"Content-Type: text/%s; charset=%s\r\nContent-Transfer-Encoding: %s\r\n\r\n%s" % (
        subtype.encode("ascii"),
        charset,
        encoding,
        data,
    )


@lru_cache(PICTURES)
def _encoded_picture(png: bytes) -> bytes:
    return _base64(png)


def _base64(data: bytes) -> bytes:
    return b"\r\n".join(
        b2a_base64(data[start : start + BASE64_LINE], newline=False) for start in range(0, len(data), BASE64_LINE)
    )
