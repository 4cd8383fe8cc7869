"""Email addresses: one spelling for each mailbox, as the mail server understands it.

A domain may contain any letters (IDNA 2008); it is stored and sent as its A-label, so that ``ada@müller.example`` and
``ada@xn--mller-kva.example`` are one user. The part before the @ must be ASCII: other characters need SMTPUTF8, which
many mail servers on the way to the mailbox don't support.
"""

import re
import unicodedata
from dataclasses import dataclass

import idna

# The pattern HTML defines for <input type=email> (https://html.spec.whatwg.org/#valid-e-mail-address): plain ASCII,
# without anything that could end a header or an SMTP command.
LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
ADDRESS = re.compile(rf"[A-Za-z0-9.!#$%&'*+/=?^_`{{|}}~-]{{1,64}}@{LABEL}(?:\.{LABEL})*")
MAX_LENGTH = 254
# Copied along with an address: spaces of all kinds, and characters that nobody sees.
INVISIBLE = "\u00ad\u200b\u200c\u200d\u200e\u200f\u202a\u202c\u2060\ufeff"
NAME_AND_ADDRESS = re.compile(r"(?P<name>[^<>]*)<(?P<address>[^<>]+)>")


@dataclass(frozen=True, slots=True)
class Sender:
    """A name, possibly empty, and an address."""

    name: str
    address: str


def parse_address(text: str) -> str:
    """Return the address as it is stored and sent. Raises ValueError, whose text says what is wrong."""
    address = text.strip(" ")
    if not address.isascii():  # full-width letters and @ from an input method become the usual ones
        address = unicodedata.normalize("NFKC", address.strip(f"{INVISIBLE}\u00a0\u3000 "))
    local, at, domain = address.rpartition("@")
    if not at or not local or not domain:
        raise ValueError("It must look like name@example.org.")
    unusual = sorted({character for character in local if not character.isascii()})
    if unusual:
        raise ValueError(
            f"The part before the @ contains {' '.join(unusual)}. Many mail servers can't deliver to such addresses; "
            "use one with a-z, 0-9 and .+-_ there."
        )
    address = f"{local}@{domain_in_ascii(domain)}"
    if len(address) > MAX_LENGTH or not ADDRESS.fullmatch(address):
        raise ValueError("It must look like name@example.org.")
    return address


def normalize_address(text: str) -> str:
    """Return the address as ``parse_address`` stores it, to look it up; any other text as it is, without spaces."""
    try:
        return parse_address(text)
    except ValueError:
        return text.strip()


def display_address(address: str) -> str:
    """Return a stored address as its owner writes it: ``ada@müller.example``."""
    local, _, domain = address.rpartition("@")
    try:
        readable = f"{local}@{idna.decode(domain)}"
        return readable if parse_address(readable) == parse_address(address) else address
    except ValueError:  # idna.IDNAError is one
        return address


def parse_sender(text: str) -> Sender:
    """Parse ``coinwatch <alerts@example.org>`` or an address alone.

    Raises ValueError, whose text says what is wrong.
    """
    found = NAME_AND_ADDRESS.fullmatch(text.strip())
    name, address = (found["name"].strip().strip('"'), found["address"]) if found else ("", text)
    if not name.isprintable():
        raise ValueError("The name contains a control character.")
    if not found and " " in text.strip() and "@" in text:
        raise ValueError("The address must be in angle brackets.")
    return Sender(name, parse_address(address))


def domain_in_ascii(domain: str) -> str:
    """Return a host name in lower case, as its A-label. Raises ValueError if it is not a host name."""
    if domain.isascii():
        return domain.lower()
    try:
        return idna.encode(domain, uts46=True).decode("ascii")
    except idna.IDNAError as error:
        raise ValueError(f"{domain} is not a domain name: {error}.") from None
