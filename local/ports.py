"""The ports of the stack: their settings, whether they are free, and which process uses them if not."""

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from local.errors import StackError


@dataclass(frozen=True)
class Port:
    """A port of the stack. ``setting``: the variable that changes it. ``udp``: used for UDP as well as TCP."""

    setting: str
    default: int
    udp: bool = False


PORTS: dict[str, Port] = {
    "postgres": Port("COINWATCH_POSTGRES_PORT", 15432),
    "statsd": Port("COINWATCH_STATSD_PORT", 18125, udp=True),
    "statsd admin": Port("COINWATCH_STATSD_ADMIN_PORT", 18126),
    "carbon": Port("COINWATCH_CARBON_PORT", 12003),
    "graphite": Port("COINWATCH_GRAPHITE_PORT", 18080),
    "smtp": Port("COINWATCH_SMTP_PORT", 11025),
    "mail": Port("COINWATCH_MAIL_CATCHER_PORT", 11080),
    "coinnews": Port("COINWATCH_COINNEWS_PORT", 18600),
    "airflow": Port("COINWATCH_AIRFLOW_PORT", 8080),
    "web": Port("COINWATCH_WEB_PORT", 18000),
    "grafana": Port("COINWATCH_GRAFANA_PORT", 13000),
}


def read_ports(user_settings: Mapping[str, str]) -> dict[str, int]:
    """The number of every port. Raises StackError for an invalid number, or one used twice."""
    numbers: dict[str, int] = {}
    for name, port in PORTS.items():
        text = user_settings.get(port.setting) or str(port.default)
        if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65535:
            raise StackError(f"{port.setting} is {text!r}; it must be a port number from 1 to 65535.")
        for other, number in numbers.items():
            if number == int(text):
                raise StackError(
                    f"{port.setting} and {PORTS[other].setting} are both {text}; give them different ports."
                )
        numbers[name] = int(text)
    return numbers


def check_free(wanted: Mapping[str, tuple[str, int]]) -> None:
    """Raise StackError for the first port that is in use. ``wanted``: name in PORTS -> (address to bind, number)."""
    for name, (host, number) in wanted.items():
        kinds = [socket.SOCK_STREAM] + ([socket.SOCK_DGRAM] if PORTS[name].udp else [])
        for kind in kinds:
            try:
                _bind(host, number, kind)
            except PermissionError:
                raise StackError(
                    f"Port {number} for {name} needs root. Set {PORTS[name].setting} to a number above 1023."
                ) from None
            except OSError as error:
                protocol = "TCP" if kind == socket.SOCK_STREAM else "UDP"
                raise StackError(
                    f"{protocol} port {number} for {name} cannot be used: {_reason(number, kind, error)}. "
                    f"Stop that process, or set {PORTS[name].setting} to a free port."
                ) from None


def _bind(host: str, number: int, kind: socket.SocketKind) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, kind) as probe:
        if kind == socket.SOCK_STREAM:
            # As the servers do: closing connections of the last run do not block the port.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, number))
        if kind == socket.SOCK_STREAM:
            probe.listen(1)


def _reason(number: int, kind: socket.SocketKind, error: OSError) -> str:
    holder = find_holder(number, kind)
    if holder:
        return f"it is used by {holder}"
    return f"{(error.strerror or str(error)).lower()} (by a process that is not visible to you)"


def find_holder(number: int, kind: socket.SocketKind = socket.SOCK_STREAM) -> str | None:
    """``name (process id)`` of the process that uses a port, if /proc shows it."""
    inodes = _listening_inodes(number, kind)
    if not inodes:
        return None
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            for link in (folder / "fd").iterdir():
                if str(link.readlink()) in inodes:
                    return f"{(folder / 'comm').read_text().strip()} (process {folder.name})"
        except OSError:
            continue
    return None


def _listening_inodes(number: int, kind: socket.SocketKind) -> set[str]:
    protocol, listening = ("tcp", "0A") if kind == socket.SOCK_STREAM else ("udp", "07")
    inodes = set()
    for table in (f"/proc/net/{protocol}", f"/proc/net/{protocol}6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            columns = line.split()
            if columns[3] == listening and int(columns[1].rsplit(":", 1)[1], 16) == number:
                inodes.add(f"socket:[{columns[9]}]")
    return inodes
