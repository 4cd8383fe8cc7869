"""HEAD requests."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HeadAsGet:
    """Responds to HEAD as to GET: FastAPI's routes don't. The server leaves out the body.

    A response in parts ends before the first of them: the server then tells the app that the client is gone, so that a
    stream of events does not remain open.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return
        ended = False

        async def send_headers(message: Message) -> None:
            nonlocal ended
            if message.get("more_body"):
                message = {"type": "http.response.body", "body": b"", "more_body": False}
            if not ended:
                await send(message)
            ended = message["type"] == "http.response.body"

        await self.app({**scope, "method": "GET"}, receive, send_headers)
