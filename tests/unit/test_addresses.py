"""Email addresses: one spelling for each mailbox, and errors that say what is wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coinwatch.addresses import ADDRESS, Sender, display_address, normalize_address, parse_address, parse_sender


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("ada@example.org", "ada@example.org"),
        ("Ada+btc@EXAMPLE.org", "Ada+btc@example.org"),
        ("ada@müller.example", "ada@xn--mller-kva.example"),
        ("ada@MÜLLER.example", "ada@xn--mller-kva.example"),
        ("ada@xn--mller-kva.example", "ada@xn--mller-kva.example"),
        ("ada@XN--MLLER-KVA.example", "ada@xn--mller-kva.example"),
        ("ada@mu\u0308ller.example", "ada@xn--mller-kva.example"),
        ("ada@straße.example", "ada@xn--strae-oqa.example"),
        ("ada@例え。テスト", "ada@xn--r8jz45g.xn--zckzah"),
        ("\uff41\uff44\uff41\uff20example.org", "ada@example.org"),
        ("\u200bada@example.org\u00a0", "ada@example.org"),
        ("  ada@example.org ", "ada@example.org"),
        ("coinwatch@localhost", "coinwatch@localhost"),
    ],
)
def test_spellings_of_a_mailbox_give_one_address(text: str, address: str) -> None:
    assert parse_address(text) == normalize_address(text) == address
    assert parse_address(address) == address


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("jörg@example.org", "before the @ contains ö"),
        ("用户@例え.テスト", "before the @"),
        ("ada@a b.example", "name@example.org"),
        ("ada@ü..example", "not a domain name"),
        ("ada@-ü-.example", "not a domain name"),
        ("ada@xn--.example", "name@example.org"),
        ("ada", "name@example.org"),
        ("@example.org", "name@example.org"),
        ("ada@", "name@example.org"),
        ("ada@example.org\r\nBcc: eve@example.org", "name@example.org"),
        ("ada@example.org\n", "name@example.org"),
        ("Ada <ada@example.org>", "name@example.org"),
        (f"ada@{'ü' * 60}.example", "not a domain name"),
        (f"ada@{'a' * 63}.{'b' * 63}.{'c' * 63}.{'d' * 63}", "name@example.org"),
    ],
)
def test_invalid_address_is_explained(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse_address(text)


@given(st.text(max_size=60) | st.text(max_size=20).map(lambda text: f"ada@{text}.example"))
def test_valid_addresses_are_ascii_and_stay_the_same(text: str) -> None:
    try:
        address = parse_address(text)
    except ValueError:
        return
    assert ADDRESS.fullmatch(address)
    assert parse_address(address) == address


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("ada@example.org", "ada@example.org"),
        ("ada@xn--mller-kva.example", "ada@müller.example"),
        ("ada@xn--zzzzzzzzzzz.example", "ada@xn--zzzzzzzzzzz.example"),
        ("coinwatch@localhost", "coinwatch@localhost"),
        ("a_b@under_score.example", "a_b@under_score.example"),
    ],
)
def test_address_is_shown_as_its_owner_writes_it(address: str, shown: str) -> None:
    assert display_address(address) == shown


@pytest.mark.parametrize(
    ("text", "sender"),
    [
        ("coinwatch <alerts@example.org>", Sender("coinwatch", "alerts@example.org")),
        ("alerts@example.org", Sender("", "alerts@example.org")),
        ("<alerts@example.org>", Sender("", "alerts@example.org")),
        (
            '"Müller, Ada (alerts)" <alerts@müller.example>',
            Sender("Müller, Ada (alerts)", "alerts@xn--mller-kva.example"),
        ),
        ("Müller, Ada <alerts@example.org>", Sender("Müller, Ada", "alerts@example.org")),
    ],
)
def test_sender_has_a_name_and_an_address(text: str, sender: Sender) -> None:
    assert parse_sender(text) == sender


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("alerts", "name@example.org"),
        ("coinwatch alerts@example.org", "angle brackets"),
        ("coinwatch <alerts>", "name@example.org"),
        ("coin\nwatch <alerts@example.org>", "control character"),
        ("a@example.org, b@example.org", "angle brackets"),
        ("", "name@example.org"),
    ],
)
def test_invalid_sender_is_explained(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse_sender(text)
