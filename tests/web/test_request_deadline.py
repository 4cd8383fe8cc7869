"""Clients that send their request slowly, or don't read the response, don't hold connections open."""

import http.client
import socket
import time
from collections.abc import Iterator

import pytest
from fastapi import FastAPI, Response
from starlette.routing import Route

from coinwatch.web import request_deadline
from tests.support.ports import free_port
from tests.web.browsing import serving

SECONDS = 1.5
LARGE = 30_000_000
GET = b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /sign-in HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n"


@pytest.fixture
def port(standalone: FastAPI, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(request_deadline, "REQUEST_SECONDS", SECONDS)
    monkeypatch.setattr(request_deadline, "UNREAD_SECONDS", SECONDS)
    standalone.router.routes.insert(0, Route("/health", lambda request: Response(b"x" * LARGE)))
    standalone.router.routes.insert(0, standalone.router.routes.pop())
    port = free_port()
    with serving(standalone, port, http=request_deadline.DeadlineProtocol, timeout_keep_alive=60):
        yield port


@pytest.fixture
def connection(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        yield connection


def seconds_until_closed(connection: socket.socket, trickle: bytes = b"") -> float:
    """Send a byte every tenth of a second until the server closes the connection."""
    started = time.monotonic()
    connection.settimeout(0.1)
    for number in range(300):
        try:
            if trickle:
                connection.sendall(trickle[number % len(trickle) :][:1])
            if connection.recv(1000) == b"":
                break
        except TimeoutError:
            continue
        except OSError:
            break
    return time.monotonic() - started


def read_response(connection: socket.socket) -> int:
    response = http.client.HTTPResponse(connection)
    response.begin()
    response.read()
    return response.status


@pytest.mark.parametrize(
    ("first", "trickle"),
    [
        (b"", b""),
        (b"GET / HTT", b""),
        (b"GET / HTTP/1.1\r\n", b"X: y\r\n"),
        (POST + b"\r\nemail=", b""),
        (POST + b"\r\n", b"a"),
        (POST + b"Transfer-Encoding: chunked\r\n", b"X: y\r\n"),
    ],
    ids=["nothing", "half a line", "headers", "body stops", "body", "smuggled body"],
)
def test_unfinished_request_is_closed_after_the_deadline(
    connection: socket.socket, first: bytes, trickle: bytes
) -> None:
    connection.sendall(first)
    assert seconds_until_closed(connection, trickle) < SECONDS + 5


def test_deadline_applies_to_every_request_of_a_connection(connection: socket.socket) -> None:
    connection.sendall(GET)
    assert read_response(connection) == 404
    connection.sendall(b"GET /nothing HTTP/1.1\r\n")
    assert SECONDS - 1 < seconds_until_closed(connection, b"X: y\r\n") < SECONDS + 5


def test_idle_connection_can_be_used_again_after_the_deadline(connection: socket.socket) -> None:
    for _ in range(2):
        connection.sendall(GET)
        assert read_response(connection) == 404
        time.sleep(SECONDS + 0.5)
    connection.sendall(GET + GET)
    assert read_response(connection) == 404


def test_request_denied_before_its_body_arrives_does_not_end_the_next_one(connection: socket.socket) -> None:
    connection.sendall(POST + b"Origin: https://evil.test\r\n\r\n" + b"x" * 50)
    assert read_response(connection) == 403
    connection.sendall(b"x" * 50)
    time.sleep(0.3)
    connection.sendall(GET)
    assert read_response(connection) == 404
    time.sleep(SECONDS + 0.5)
    connection.sendall(GET)
    assert read_response(connection) == 404


def test_client_that_does_not_read_the_response_is_disconnected(port: int) -> None:
    for pause, complete in ((SECONDS + 2, False), (0, True)):
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            time.sleep(pause)
            assert (bytes_until_closed(connection) >= LARGE) is complete


def bytes_until_closed(connection: socket.socket) -> int:
    received = 0
    try:
        while data := connection.recv(1_000_000):
            received += len(data)
    except ConnectionResetError:
        pass
    return received
