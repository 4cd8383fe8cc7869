"""``coinwatch web`` as a process."""

import http.client
import signal
import socket
import time
import urllib.request
from contextlib import closing

import psutil
import pytest

from tests.conftest import Database
from tests.support.ports import free_port
from tests.support.web_server import start_web, wait_for_health, web_environment
from tests.web.seed import TOKEN


def test_server_stops_on_sigterm(database: Database) -> None:
    port = free_port()
    process = start_web(web_environment(database), port)
    assert wait_for_health(port) == 200
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=20)
    assert "Traceback" not in output
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))


def test_port_in_use_is_reported_without_traceback(database: Database) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = start_web(web_environment(database), port)
        output, _ = process.communicate(timeout=30)
    assert process.returncode != 0
    text = " ".join(output.split())
    assert str(port) in text
    assert "--port" in text
    assert "Traceback" not in output


def test_legacy_port_serves_the_same_app(database: Database) -> None:
    port, legacy = free_port(), free_port()
    with start_web(web_environment(database, COINWATCH_LEGACY_PORT=str(legacy)), port) as process:
        wait_for_health(port)
        with urllib.request.urlopen(f"http://127.0.0.1:{legacy}/symbols", timeout=10) as response:
            assert response.status == 200
        process.terminate()


def test_several_workers_share_the_port_and_stop_together(database: Database) -> None:
    port = free_port()
    process = start_web(web_environment(database, COINWATCH_WEB_WORKERS="2"), port)
    assert wait_for_health(port) == 200
    children = psutil.Process(process.pid).children(recursive=True)
    workers = [child for child in children if "spawn_main" in " ".join(child.cmdline())]
    assert len(workers) == 2
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=20)
    assert "Traceback" not in output
    assert not any(worker.is_running() for worker in workers)


def test_legacy_port_in_use_names_its_setting(database: Database) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = web_environment(database, COINWATCH_LEGACY_PORT=str(taken.getsockname()[1]))
        output, _ = start_web(settings, free_port()).communicate(timeout=30)
    assert "COINWATCH_LEGACY_PORT" in output
    assert "Traceback" not in output


def test_missing_or_example_secret_is_reported(database: Database) -> None:
    for variable, value in (("COINWATCH_API_TOKEN", ""), ("COINWATCH_SECRET_KEY", "change-me")):
        process = start_web(web_environment(database, **{variable: value}), free_port())
        output, _ = process.communicate(timeout=30)
        assert process.returncode != 0
        assert variable in output
        assert TOKEN not in output
        assert "Traceback" not in output


def test_idle_connection_can_be_reused_by_a_proxy(database: Database) -> None:
    """uvicorn closes idle connections after 5 s by default; a proxy that reuses one just then gets an error."""
    port = free_port()
    with start_web(web_environment(database), port) as process:
        wait_for_health(port)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request("GET", "/health")
        assert connection.getresponse().read()
        used = connection.sock
        time.sleep(6.5)
        connection.request("GET", "/health")
        assert connection.getresponse().read()
        assert connection.sock is used
        connection.close()
        process.kill()


def test_all_addresses_include_ipv4_and_ipv6(database: Database) -> None:
    if not socket.has_dualstack_ipv6():
        pytest.skip("needs IPv6")
    port = free_port()
    with start_web(web_environment(database), port, "--host", "::") as process:
        wait_for_health(port)
        with urllib.request.urlopen(f"http://[::1]:{port}/health") as response:
            assert response.status == 200
        process.kill()


def test_server_stops_although_clients_hold_connections_open(database: Database) -> None:
    port = free_port()
    process = start_web(web_environment(database), port)
    wait_for_health(port)
    with (
        socket.create_connection(("127.0.0.1", port)) as unfinished,
        socket.create_connection(("127.0.0.1", port)) as half_a_body,
        closing(http.client.HTTPConnection("127.0.0.1", port)) as idle,
    ):
        unfinished.sendall(b"GET / HTTP/1.1\r\n")
        half_a_body.sendall(b"POST /sign-in HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nemail=")
        idle.request("GET", "/health")
        idle.getresponse().read()
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=12)
    assert "Traceback" not in output


@pytest.mark.parametrize(
    "upgrade",
    [
        {"Connection": "upgrade"},  # what many proxies add to every request
        {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAMAAABkAAQAAP__"},
        {"Connection": "Upgrade", "Upgrade": "websocket"},
    ],
)
def test_requests_that_propose_another_protocol_keep_their_body(database: Database, upgrade: dict[str, str]) -> None:
    port = free_port()
    with start_web(web_environment(database), port) as process:
        wait_for_health(port)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "text/html"} | upgrade
        connection.request("POST", "/sign-in", "email=ada%40example.org", headers)
        response = connection.getresponse()
        assert response.status == 200
        assert "ada@example.org" in response.read().decode()
        connection.close()
        process.kill()


@pytest.mark.parametrize(
    ("variable", "value", "named"),
    [
        ("TRUSTED_PROXIES", "10.0.0.0/8, nginx", "'nginx' is not an IP address or network"),
        ("TRUSTED_PROXIES", "10.0.0.1/8", "'10.0.0.1/8' is not an IP address or network"),
        ("TRUSTED_PROXIES", "*", "is not an IP address or network"),
        ("PUBLIC_URL", "https://example.org/prices", "coinwatch has a page /prices"),
        ("PUBLIC_URL", "https://example.org/static/x", "coinwatch has a page /static"),
    ],
)
def test_ambiguous_proxy_settings_are_reported(database: Database, variable: str, value: str, named: str) -> None:
    name = f"COINWATCH_{variable}"
    process = start_web(web_environment(database, **{name: value}), free_port())
    output, _ = process.communicate(timeout=60)
    text = " ".join(output.replace("\u2502", " ").split())
    assert process.returncode != 0
    assert name in text
    assert named in text
    assert "Traceback" not in output
