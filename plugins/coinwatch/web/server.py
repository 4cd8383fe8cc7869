"""The standalone server, started by ``coinwatch web``."""

import uvicorn

from coinwatch.database import get_engine
from coinwatch.ports import open_port
from coinwatch.settings import get_settings
from coinwatch.web.app import create_app
from coinwatch.web.middleware.access import identify_by_token


def serve(host: str = "127.0.0.1", port: int = 18000) -> None:
    """Serve the app until interrupted.

    Behind a proxy, uvicorn trusts X-Forwarded-For from the addresses in FORWARDED_ALLOW_IPS (127.0.0.1).

    Raises ConfigurationError if a secret is missing or the port is taken.
    """
    settings = get_settings()
    for secret in ("database_url", "secret_key", "api_token"):
        settings.require(secret)
    app = create_app(get_engine, get_settings, identify=identify_by_token(get_settings), inside_airflow=False)
    # No access log: it would contain the tokens of links in emails. RequestLog logs route templates instead.
    config = uvicorn.Config(app, access_log=False, server_header=False, log_level="warning", lifespan="off")
    with open_port(host, port, "--port or COINWATCH_WEB_PORT") as listener:
        uvicorn.Server(config).run(sockets=[listener])
