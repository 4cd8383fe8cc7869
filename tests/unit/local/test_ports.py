"""A port in use is reported with its setting and, if known, the process that uses it."""

import os
import socket

import pytest

from local.errors import StackError
from local.ports import PORTS, check_free, find_holder, read_ports
from tests.support.ports import free_port


def test_every_port_has_its_own_setting_and_default() -> None:
    assert len({port.setting for port in PORTS.values()}) == len(PORTS)
    assert read_ports({}) == {name: port.default for name, port in PORTS.items()}


@pytest.mark.parametrize("text", ["0", "65536", "-1", "http", "1 2", "٣"])
def test_invalid_port_is_reported(text: str) -> None:
    with pytest.raises(StackError, match="COINWATCH_WEB_PORT"):
        read_ports({"COINWATCH_WEB_PORT": text})


def test_port_used_twice_is_reported() -> None:
    with pytest.raises(StackError, match="COINWATCH_WEB_PORT and COINWATCH_AIRFLOW_PORT are both 9000"):
        read_ports({"COINWATCH_WEB_PORT": "9000", "COINWATCH_AIRFLOW_PORT": "9000"})


def test_port_in_use_is_reported_with_its_setting_and_process() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = server.getsockname()[1]
        with pytest.raises(StackError) as caught:
            check_free({"web": ("127.0.0.1", number)})
    text = str(caught.value)
    assert f"TCP port {number} for web" in text
    assert "COINWATCH_WEB_PORT" in text
    assert f"(process {os.getpid()})" in text


def test_udp_port_of_statsd_is_checked() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        number = free_port()
        server.bind(("127.0.0.1", number))
        holder = find_holder(number, socket.SOCK_DGRAM)
        assert holder is not None
        assert str(os.getpid()) in holder
        with pytest.raises(StackError, match=f"UDP port {number}"):
            check_free({"statsd": ("127.0.0.1", number)})


def test_free_ports_are_accepted() -> None:
    number = free_port()
    check_free({"web": ("127.0.0.1", number), "statsd": ("127.0.0.1", number)})
    assert find_holder(number) is None
