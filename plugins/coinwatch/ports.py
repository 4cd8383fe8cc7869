"""Opening the port of one of our servers, with a sentence when that fails."""

import errno
import socket

from coinwatch.errors import ConfigurationError


def open_port(host: str, port: int, instead: str) -> socket.socket:
    """A listening socket. ConfigurationError when the port is taken or the address is not ours; ``instead`` says how
    to choose another, for example ``--port``."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ConfigurationError(f"Port {port} on {host} is taken. Choose another: {instead}.") from None
        raise ConfigurationError(f"Cannot listen on {host}:{port}: {error.strerror or error}.") from None
