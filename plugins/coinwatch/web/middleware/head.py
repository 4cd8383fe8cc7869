"""HEAD requests."""

from starlette.types import ASGIApp, Receive, Scope, Send


class HeadAsGet:
    """Responds to HEAD as to GET: FastAPI's routes don't. The server leaves out the body."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}
        await self.app(scope, receive, send)
