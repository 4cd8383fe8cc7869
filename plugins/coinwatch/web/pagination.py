"""Long lists in pages: an opaque cursor, and the link to the next page (RFC 8288)."""

import base64
import binascii
import json
from datetime import datetime
from typing import Annotated
from urllib.parse import quote, urlencode

from fastapi import Query, Request

from coinwatch.errors import InvalidRequest

MAX_CURSOR_LENGTH = 400

CursorParameter = Annotated[
    str | None,
    Query(max_length=MAX_CURSOR_LENGTH, description="Continues after a page; from its header Link with rel=next."),
]


def encode_cursor(*position: str | int | datetime) -> str:
    """A cursor for the last row of a page. Clients must not rely on what it contains."""
    plain = [value.isoformat() if isinstance(value, datetime) else value for value in position]
    return base64.urlsafe_b64encode(json.dumps(plain, separators=(",", ":")).encode()).decode().rstrip("=")


def decode_cursor(cursor: str, *kinds: type) -> list[str | int | datetime]:
    """The values that a cursor was made from, of these kinds (str, int, aware datetime). Raises InvalidRequest."""
    try:
        values = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
        if not isinstance(values, list) or len(values) != len(kinds):
            raise _invalid()
        return [_parse(value, kind) for value, kind in zip(values, kinds, strict=True)]
    except (ValueError, binascii.Error, RecursionError):
        raise _invalid() from None


def next_page(request: Request, cursor: str | None) -> dict[str, str]:
    """The header with the link to the next page: this request with another cursor. Empty without a cursor.

    The link is relative to the host, so it is correct behind any proxy.
    """
    if cursor is None:
        return {}
    query = [(name, value) for name, value in request.query_params.multi_items() if name != "cursor"]
    path = quote(request.scope["path"])
    return {"Link": f'<{path}?{urlencode([*query, ("cursor", cursor)])}>; rel="next"'}


def _parse(value: object, kind: type) -> str | int | datetime:
    if kind is datetime and isinstance(value, str):
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is not None and 1970 <= moment.year <= 2999:
            return moment
    elif (kind is int and type(value) is int and 0 <= value < 2**63) or (
        kind is str and isinstance(value, str) and "\0" not in value and value.isprintable()
    ):
        return value
    raise _invalid()


def _invalid() -> InvalidRequest:
    return InvalidRequest("cursor", "This cursor is not valid. Take it from the header Link, or start without it.")
