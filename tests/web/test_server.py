"""``coinwatch web`` as a process."""

import signal
import socket

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


def test_missing_or_example_secret_is_reported(database: Database) -> None:
    for variable, value in (("COINWATCH_API_TOKEN", ""), ("COINWATCH_SECRET_KEY", "change-me")):
        process = start_web(web_environment(database, **{variable: value}), free_port())
        output, _ = process.communicate(timeout=30)
        assert process.returncode != 0
        assert variable in output
        assert TOKEN not in output
        assert "Traceback" not in output
