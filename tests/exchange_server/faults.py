"""Ways an exchange can fail: a fault responds to some requests instead of the exchange."""

import json
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler

HTML = b"<!DOCTYPE html><html><head><title>Maintenance</title></head><body>We will be back soon.</body></html>"
REASONS = {418: "I'm a teapot", 451: "Unavailable For Legal Reasons"}
LONGEST_SECONDS = 60.0


@dataclass(frozen=True)
class Fault:
    """``kind`` is one of

    status        a response with ``status``, ``headers`` and ``body`` (a JSON value or text)
    json          the same with status 200, for errors inside the payload and payloads of an unexpected structure
    timeout       no response
    drip          valid headers, then one byte every ``pause`` seconds, forever
    drip_headers  the same, but the headers do not end either
    endless       a body that does not end, as fast as possible
    cut_off       half of the announced body, then the connection is closed
    truncated     a complete response with half a JSON document
    html          a page with status 200

    It applies to ``times`` requests (None: all) after the first ``after``, if their path contains ``path``.
    """

    kind: str
    status: int = 500
    headers: Mapping[str, str] = field(default_factory=dict)
    body: object = None
    times: int | None = None
    after: int = 0
    path: str = ""
    pause: float = 0.1


class Faults:
    """The active faults of each exchange."""

    def __init__(self) -> None:
        self._faults: dict[str, list[Fault]] = {}
        self._lock = threading.Lock()

    def add(self, exchange: str, fault: Fault) -> None:
        with self._lock:
            self._faults.setdefault(exchange, []).append(fault)

    def clear(self, exchange: str | None = None) -> None:
        with self._lock:
            if exchange is None:
                self._faults.clear()
            else:
                self._faults.pop(exchange, None)

    def take(self, exchange: str, path: str) -> Fault | None:
        """The fault that applies to this request, if any."""
        with self._lock:
            remaining: list[Fault] = []
            taken: Fault | None = None
            for fault in self._faults.get(exchange, []):
                if taken is not None or fault.path not in path:
                    remaining.append(fault)
                elif fault.after > 0:
                    remaining.append(_changed(fault, after=fault.after - 1))
                else:
                    taken = fault
                    if fault.times is None or fault.times > 1:
                        remaining.append(_changed(fault, times=None if fault.times is None else fault.times - 1))
            self._faults[exchange] = remaining
            return taken


def misbehave(fault: Fault, handler: BaseHTTPRequestHandler, stopped: threading.Event, real_body: bytes) -> None:
    """Respond to ``handler``'s request with the fault; ``real_body`` is the exchange's regular response."""
    handler.close_connection = True
    match fault.kind:
        case "status" | "json":
            _respond(handler, 200 if fault.kind == "json" else fault.status, fault)
        case "html":
            _send(handler, 200, {"Content-Type": "text/html; charset=utf-8", "Content-Length": str(len(HTML))}, HTML)
        case "truncated":
            half = real_body[: len(real_body) // 2]
            _send(handler, 200, {"Content-Type": "application/json", "Content-Length": str(len(half))}, half)
        case "cut_off":
            headers = {"Content-Type": "application/json", "Content-Length": str(len(real_body))}
            _send(handler, 200, headers, real_body[: len(real_body) // 2])
        case "timeout":
            stopped.wait(LONGEST_SECONDS)
        case "drip":
            _send(handler, 200, {"Content-Type": "application/json", "Content-Length": "1000000"}, b"[")
            _drip(handler, stopped, fault.pause)
        case "drip_headers":
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            _drip(handler, stopped, fault.pause)
        case "endless":
            _send(handler, 200, {"Content-Type": "application/json"}, b"[")
            while not stopped.is_set():
                handler.wfile.write(b"0," * 50_000)
        case _:
            raise ValueError(f"unknown fault {fault.kind!r}")


def _respond(handler: BaseHTTPRequestHandler, status: int, fault: Fault) -> None:
    text = fault.body if isinstance(fault.body, str) else json.dumps(fault.body)
    body = text.encode()
    kind = "text/plain" if isinstance(fault.body, str) else "application/json"
    _send(handler, status, {"Content-Type": kind, "Content-Length": str(len(body)), **fault.headers}, body)


def _drip(handler: BaseHTTPRequestHandler, stopped: threading.Event, pause: float) -> None:
    while not stopped.wait(pause):
        handler.wfile.write(b" ")
        handler.wfile.flush()


def _send(handler: BaseHTTPRequestHandler, status: int, headers: Mapping[str, str], body: bytes) -> None:
    handler.send_response(status, REASONS.get(status))
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.send_header("Connection", "close")
    handler.end_headers()
    handler.wfile.write(body)
    handler.wfile.flush()


def _changed(fault: Fault, **changes: object) -> Fault:
    return Fault(**{**asdict(fault), **changes})
