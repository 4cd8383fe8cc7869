"""The app served alone, by ``coinwatch web``."""

import uvicorn

from coinwatch.database import get_engine
from coinwatch.ports import open_port
from coinwatch.settings import get_settings
from coinwatch.web.app import create_app
from coinwatch.web.middleware.access import identify_by_token


def serve(host: str = "127.0.0.1", port: int = 18000) -> None:
    """Serve until interrupted; ConfigurationError when a secret is missing or the port is taken.

    Behind a proxy, uvicorn believes the forwarded address of callers from FORWARDED_ALLOW_IPS (127.0.0.1).
    """
    settings = get_settings()
    for secret in ("database_url", "secret_key", "api_token"):
        settings.require(secret)
    app = create_app(get_engine, get_settings, identify=identify_by_token(get_settings), inside_airflow=False)
    # No access log: it would hold the tokens in the links of mails. RequestLog writes routes instead.
    config = uvicorn.Config(app, access_log=False, server_header=False, log_level="warning", lifespan="off")
    with open_port(host, port, "--port or COINWATCH_WEB_PORT") as listener:
        uvicorn.Server(config).run(sockets=[listener])
