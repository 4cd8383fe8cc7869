"""StatsD, carbon and graphite-web, started as in local_run.sh: the path of a gauge to a chart."""

import socket
import struct
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from local.graphite import find_missing_cairo, graphite_environment, prepare_graphite
from local.node import find_node
from local.paths import make_folders
from local.readiness import check_gauge, check_render
from tests.support.graphite import GraphiteServer, graphite_configuration
from tests.support.ports import free_port

PROJECT = Path(__file__).parents[3]
FLUSH_SECONDS = 10


class ShortLivedStatsd:
    """A second StatsD that sends to the same carbon and whose gauges expire after two flushes."""

    def __init__(self, graphite: GraphiteServer) -> None:
        self.port, self.admin_port = free_port(), free_port()
        folder = PROJECT / "graphite" / "statsd"
        program = PROJECT / "local" / "node_modules" / "statsd" / "stats.js"
        compatibility = folder / "node_compatibility.js"
        self.process = subprocess.Popen(
            [find_node().node, "--require", compatibility, program, folder / "config.js"],
            env={
                "STATSD_FOLDER": str(folder),
                "STATSD_PORT": str(self.port),
                "STATSD_ADMIN_PORT": str(self.admin_port),
                "CARBON_PORT": str(graphite.carbon_port),
                "STATSD_GAUGE_TTL": "2",
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_for(lambda: check_gauge("127.0.0.1", self.port, self.admin_port) is None)

    def send(self, lines: str) -> None:
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            connection.sendall(lines.encode())


@pytest.fixture
def statsd(graphite: GraphiteServer) -> Iterator[ShortLivedStatsd]:
    server = ShortLivedStatsd(graphite)
    yield server
    server.process.terminate()
    server.process.wait()


def test_thousand_gauges_arrive_and_expire(graphite: GraphiteServer, statsd: ShortLivedStatsd) -> None:
    statsd.send("".join(f"burst.number_{number}:{number + 0.5}|g\n" for number in range(1000)))
    sent = time.time()
    shown = graphite.wait_for("stats.gauges.burst.*", series=1000)
    assert {series: set(values) for series, values in shown.items()} == {
        f"stats.gauges.burst.number_{number}": {number + 0.5} for number in range(1000)
    }

    time.sleep(max(0, sent + 5 * FLUSH_SECONDS - time.time()))
    points = graphite.render("stats.gauges.burst.number_7", start="-1min")[0]["datapoints"]
    live = [moment for value, moment in points if value is not None]
    assert 1 <= len(live) <= 3
    assert max(live) < sent + 4 * FLUSH_SECONDS


def test_statsd_survives_a_reset_connection(statsd: ShortLivedStatsd) -> None:
    for _ in range(20):
        connection = socket.create_connection(("127.0.0.1", statsd.port), timeout=5)
        connection.sendall(b"half.a.line")
        time.sleep(0.05)  # StatsD must be reading during the reset, which crashes its original TCP server
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
    statsd.send("still.here:1|g\n")
    assert check_gauge("127.0.0.1", statsd.port, statsd.admin_port) is None
    assert statsd.process.poll() is None


def test_overlong_line_is_truncated(statsd: ShortLivedStatsd) -> None:
    with socket.create_connection(("127.0.0.1", statsd.port), timeout=5) as connection:
        connection.sendall(b"x" * 200_000)
        with suppress(ConnectionResetError):
            assert connection.recv(1) == b""
    assert check_gauge("127.0.0.1", statsd.port, statsd.admin_port) is None


def test_stored_metric_is_read_without_errors_in_the_log(graphite: GraphiteServer, statsd: ShortLivedStatsd) -> None:
    statsd.send("quiet:1|g\n")
    graphite.wait_for("stats.gauges.quiet")
    assert "Traceback" not in graphite.web_log.read_text()


@pytest.mark.skipif(find_missing_cairo() is not None, reason="libcairo is not installed")
def test_chart_is_an_image(graphite: GraphiteServer) -> None:
    with urllib.request.urlopen(f"{graphite.url}/render?target=carbon.agents.*.metricsReceived", timeout=20) as image:
        assert image.headers["Content-Type"] == "image/png"
        assert image.read(8) == b"\x89PNG\r\n\x1a\n"


WITHOUT_CAIRO = """
import sys
from wsgiref.util import setup_testing_defaults
from graphite_wsgi import application
for query, accept in (("", "*/*"), ("", "image/avif,*/*"), ("&format=json", "*/*")):
    environ = {"PATH_INFO": "/render", "QUERY_STRING": "target=constantLine(1)" + query, "HTTP_ACCEPT": accept}
    environ["HTTP_HOST"] = "127.0.0.1"
    setup_testing_defaults(environ)
    body = application(environ, lambda status, headers: print(status, dict(headers)["Content-Type"]))
    print(b"".join(body).decode().strip().replace("\\n", " "))
"""


def test_without_libcairo_one_line_names_the_package(tmp_path: Path) -> None:
    configuration = graphite_configuration(tmp_path)
    make_folders(configuration.paths)
    prepare_graphite(configuration)
    (tmp_path / "cairocffi.py").write_text("raise OSError('no library called \"cairo\" was found')")
    environment = graphite_environment(configuration)
    environment["PYTHONPATH"] = f"{tmp_path}:{environment['PYTHONPATH']}"
    command = [sys.executable, "-c", WITHOUT_CAIRO]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert "Traceback" not in done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "501 Not Implemented text/plain; charset=utf-8"
    assert "apt install libcairo2" in lines[1]
    assert lines[2] == "501 Not Implemented image/svg+xml"
    assert "apt install libcairo2" in lines[3]
    assert lines[4:] == ["200 OK application/json", lines[-1]]
    assert lines[-1].startswith('[{"target": "1')


def test_status_names_the_package_if_libcairo_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cairocffi", None)
    assert "apt install libcairo2" in str(find_missing_cairo())


def test_unknown_metric_renders_as_empty_list(graphite: GraphiteServer) -> None:
    assert graphite.render("no.such.metric") == []
    assert check_render(graphite.url) is None


def wait_for(condition: Callable[[], bool], seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.3)
