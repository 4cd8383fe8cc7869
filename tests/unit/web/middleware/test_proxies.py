"""Finding the client behind proxies: X-Forwarded-For is read from the right, up to the first untrusted address."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coinwatch.web.middleware.proxies import find_client, parse_address

TRUSTED = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        (" 192.0.2.1:4711 ", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:DB8::1]:4711", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("[::ffff:c000:201]:80", "192.0.2.1"),
    ],
)
def test_address_is_read_with_and_without_port(text: str, address: str) -> None:
    assert str(parse_address(text)) == address


@pytest.mark.parametrize(
    "text", ["", "unknown", "_hidden", "192.0.2", "192.0.2.1.5", "[", "a:b", "0x7f.1", "192.0.2.1, 1.1.1.1", "1" * 9999]
)
def test_anything_else_is_not_an_address(text: str) -> None:
    assert parse_address(text) is None


@pytest.mark.parametrize(
    ("headers", "client"),
    [
        ([], "10.0.0.2"),
        ([""], "10.0.0.2"),
        (["198.51.100.1"], "198.51.100.1"),
        (["198.51.100.1, 10.9.9.9"], "198.51.100.1"),
        (["198.51.100.1", "10.9.9.9"], "198.51.100.1"),
        (["6.6.6.6, 198.51.100.1"], "198.51.100.1"),
        (["6.6.6.6", "198.51.100.1, fd00::1"], "198.51.100.1"),
        (["10.1.1.1, 10.2.2.2"], "10.1.1.1"),
        (["198.51.100.1, unknown"], "10.0.0.2"),
        (["198.51.100.1, unknown, 10.3.3.3"], "10.3.3.3"),
        (["::ffff:198.51.100.1"], "198.51.100.1"),
        (["198.51.100.1:1234, [fd00::1]:80"], "198.51.100.1"),
    ],
)
def test_client_is_the_last_address_that_is_not_a_proxy(headers: list[str], client: str) -> None:
    peer = parse_address("10.0.0.2")
    assert peer is not None
    assert str(find_client(peer, headers, TRUSTED)) == client


@given(st.text(max_size=60), st.ip_addresses().filter(lambda ip: not any(ip in network for network in TRUSTED)))
def test_whatever_a_client_sends_the_proxy_decides(sent: str, real: object) -> None:
    peer = parse_address("10.0.0.2")
    assert peer is not None
    assert find_client(peer, [f"{sent}, {real}"], TRUSTED) == parse_address(str(real))
