"""Opens a server's port, with a clear error if that fails."""

import errno
import socket

from coinwatch.errors import ConfigurationError


def open_port(host: str, port: int, option: str) -> socket.socket:
    """Return a listening socket. The host ``::`` stands for all addresses, those of IPv4 included.

    ``option`` names the option for another port in the error, for example ``--port``. Raises ConfigurationError if the
    port is in use or the address is not one of this machine's.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        both = host == "::" and socket.has_dualstack_ipv6()
        return socket.create_server((host, port), family=family, backlog=2048, dualstack_ipv6=both)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ConfigurationError(f"Port {port} on {host} is in use. Choose another one with {option}.") from None
        raise ConfigurationError(f"Can't listen on {host}:{port}: {error.strerror or error}.") from None
