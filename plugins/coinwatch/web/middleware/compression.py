"""Compression of responses with zstd, Brotli or gzip."""

from starlette.types import ASGIApp, Receive, Scope, Send
from starlette_compress import CompressMiddleware, add_compress_type, remove_compress_type

# Pages that contain a secret (a link's token, a signing key, an address) next to text that a stranger may choose. From
# the length of compressed responses, someone who watches the network could guess the secret (BREACH). Prices are none.
UNCOMPRESSED = ("/manage", "/account", "/snooze", "/confirm", "/unsubscribe", "/operator", "/subscribe")
MIN_BYTES = 500


class Compression:
    """Compresses text, as the client accepts, except pages with secrets and server-sent events.

    Events are small, and a compressor per client would take more memory than everything else about it.
    """

    def __init__(self, app: ASGIApp) -> None:
        remove_compress_type("text/event-stream")
        add_compress_type("application/problem+json")
        self.app = app
        # Moderate levels: a page takes well under a millisecond.
        self.compress = CompressMiddleware(app, minimum_size=MIN_BYTES, zstd_level=3, brotli_quality=3, gzip_level=4)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app: ASGIApp = self.compress
        if scope["type"] != "http" or scope["path"].removeprefix(scope["root_path"]).startswith(UNCOMPRESSED):
            app = self.app
        await app(scope, receive, send)
