"""Who sent a request: an operator's token, an API key, or a browser that is signed in to the operator pages."""

import hmac
from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Engine
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from coinwatch.access import api_keys, operator_sessions
from coinwatch.settings import Settings
from coinwatch.web.middleware.access import Identify, Visitor

OPERATOR_COOKIE = "coinwatch_operator"


def identify_by_token(open_settings: Callable[[], Settings]) -> Identify:
    """For the standalone app: a caller with COINWATCH_API_TOKEN as bearer token is an operator."""

    async def identify(request: Request) -> Visitor | None:
        token = bearer_token(request)
        if token is None:
            return None
        # In a thread, because settings may be read from files.
        expected = (await run_in_threadpool(open_settings)).require("api_token")
        same = hmac.compare_digest(token.encode(), expected.encode())
        return Visitor(operator_sessions.OPERATOR, operator=True) if same else None

    return identify


def identify_by_key(open_engine: Callable[[], Engine], clock: Callable[[], datetime], otherwise: Identify) -> Identify:
    """A caller with an API key as bearer token has its scopes; all others are identified by ``otherwise``."""

    async def identify(request: Request) -> Visitor | None:
        token = bearer_token(request)
        if token is None or not token.startswith(api_keys.PREFIX):
            return await otherwise(request)
        key = await run_in_threadpool(lambda: api_keys.find_api_key(open_engine(), token, clock()))
        if key is None:
            return await otherwise(request)
        return Visitor(key.label, "operator" in key.scopes, key.scopes, key.id)

    return identify


def identify_by_session(
    open_engine: Callable[[], Engine],
    open_settings: Callable[[], Settings],
    clock: Callable[[], datetime],
    otherwise: Identify,
) -> Identify:
    """A browser with the cookie of the operator pages is an operator; all others are identified by ``otherwise``."""

    async def identify(request: Request) -> Visitor | None:
        token = request.cookies.get(OPERATOR_COOKIE)
        if token is None or bearer_token(request) is not None:
            return await otherwise(request)
        session = await run_in_threadpool(
            lambda: operator_sessions.find_session(open_engine(), open_settings(), token, clock())
        )
        if session is None:
            return await otherwise(request)
        return Visitor(session.name, operator=True, key_id=session.api_key_id)

    return identify


def bearer_token(request: Request) -> str | None:
    """The token of the ``Authorization: Bearer`` header, if there is one."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None
