"""The mail catcher as local_run.sh starts it: web pages in the same browser cannot read its emails."""

import http.client
import smtplib
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from local.configuration import make_configuration
from local.environment_file import ensure_secrets, read_environment
from local.node import find_node, install_packages
from local.paths import Paths, make_folders
from local.ports import PORTS
from local.services import plan_stack
from local.stack import Tools
from tests.support.ports import free_port

PROJECT = Path(__file__).parents[3]
UPGRADE = {
    "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}  # fmt: skip


@pytest.fixture(scope="module")
def catcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of the page of a catcher that has one email."""
    home = tmp_path_factory.mktemp("catcher")
    paths = Paths(PROJECT, home, home / ".env")
    ports = {port.setting: str(free_port()) for port in PORTS.values()}
    configuration = make_configuration(paths, ensure_secrets(read_environment(paths.env_file, ports)))
    make_folders(paths)
    node = find_node()
    tools = Tools(node=node, node_modules=install_packages(configuration, node))
    service = plan_stack(configuration, tools).services["mail"]
    with (
        (home / "log").open("w") as log,
        subprocess.Popen(service.command, env=dict(service.environment), cwd=home, stdout=log, stderr=log) as process,
    ):
        try:
            send_email(configuration.ports["smtp"])
            yield configuration.ports["mail"]
        finally:
            process.terminate()


def send_email(port: int) -> None:
    deadline = time.monotonic() + 30
    while True:
        with suppress(OSError), smtplib.SMTP("127.0.0.1", port, timeout=5) as smtp:
            smtp.sendmail("a@example.org", "b@example.org", "Subject: hello\n\nA secret link\n")
            return
        assert time.monotonic() < deadline
        time.sleep(0.2)


@dataclass(frozen=True)
class Response:
    status: int
    headers: dict[str, str]
    body: str

    @property
    def allows_other_origins(self) -> bool:
        return any(name.startswith("access-control-") for name in self.headers)


def get(port: int, path: str = "/email", **headers: str) -> Response:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        body = "" if response.status == 101 else response.read().decode()
        return Response(response.status, {name.lower(): value for name, value in response.getheaders()}, body)
    finally:
        connection.close()


def test_own_page_and_programs_read_emails(catcher: int) -> None:
    for host in ("127.0.0.1", "localhost", "[::1]"):
        own = f"{host}:{catcher}"
        response = get(catcher, Host=own, Origin=f"http://{own}", Sec_Fetch_Site="same-origin")
        assert response.status == 200
        assert "A secret link" in response.body
        assert response.headers["cross-origin-resource-policy"] == "same-origin"
        assert not response.allows_other_origins
    assert get(catcher).status == 200
    link_from_another_page = {
        "Sec_Fetch_Site": "cross-site",
        "Sec_Fetch_Mode": "navigate",
        "Sec_Fetch_Dest": "document",
    }
    assert get(catcher, "/", **link_from_another_page).status == 200


@pytest.mark.parametrize("path", ["/email", "/", "/socket.io/?EIO=3&transport=polling"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://other.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:1"},
        {"Host": "rebound.example"},  # a name that its owner lets resolve to 127.0.0.1
        {"Host": "localhost.other.example"},
        {"Host": "127.0.0.1.other.example"},
        {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors"},
        {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "iframe"},
    ],
)
def test_other_pages_get_nothing(catcher: int, path: str, headers: dict[str, str]) -> None:
    response = get(catcher, path, **headers)
    assert response.status == 403
    assert "secret" not in response.body
    assert not response.allows_other_origins


def test_other_pages_cannot_listen_for_new_emails(catcher: int) -> None:
    path = "/socket.io/?EIO=4&transport=websocket"
    assert (
        get(catcher, path, Host=f"localhost:{catcher}", Origin=f"http://localhost:{catcher}", **UPGRADE).status == 101
    )
    for headers in ({"Origin": "https://other.example"}, {"Host": "rebound.example"}):
        with pytest.raises(OSError, match=r"closed|reset|aborted|without response"):
            get(catcher, path, **headers, **UPGRADE)
