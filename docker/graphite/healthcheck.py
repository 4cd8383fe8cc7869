"""Health check of the container graphite: graphite-web renders, and StatsD reports that it is up."""

import json
import socket
import sys
import urllib.request

RENDER = "http://127.0.0.1/render?target=carbon.agents.*.metricsReceived&from=-5min&format=json"


def main() -> str:
    """Why the container is not healthy, or ''."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(RENDER, timeout=4) as response:
            if not isinstance(json.loads(response.read()), list):
                return "the render response is not a list of series"
        with socket.create_connection(("127.0.0.1", 8126), timeout=2) as connection:
            connection.sendall(b"health\n")
            response = connection.recv(100)
    except (OSError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    return "" if b"up" in response else f"StatsD reports {response!r}"


if __name__ == "__main__":
    reason = main()
    if reason:
        sys.exit(reason)
