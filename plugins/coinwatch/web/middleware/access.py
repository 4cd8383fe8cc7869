"""Who may call which route. What is not on a list here demands an operator.

The app served alone has no logins: its pages are for everybody, its operators send COINWATCH_API_TOKEN.
Inside Airflow everything but health and static files demands Airflow's login.
"""

import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.routing import BaseRoute, Match, Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from coinwatch.settings import Settings
from coinwatch.web.error_handlers import error_answer

# Method and path as the route writes it. HEAD counts as GET. A static file and health need no login anywhere.
PUBLIC_EVERYWHERE = frozenset({("GET", "/health"), ("GET", "/static")})

# Prices are no secret, and a subscription of a stranger waits for the confirmation of its address.
PUBLIC_ALONE = PUBLIC_EVERYWHERE | {
    ("GET", "/"),
    ("GET", "/prices"),
    ("GET", "/coins"),
    ("GET", "/coins/{coin}"),
    ("GET", "/subscribe"),
    ("POST", "/subscribe"),
    ("GET", "/subscribe/preview"),
    ("POST", "/subscribe/preview"),
    ("GET", "/confirm/{token}"),
    ("POST", "/confirm/{token}"),
    ("GET", "/unsubscribe/{token}"),
    ("POST", "/unsubscribe/{token}"),
    ("GET", "/manage"),
    ("POST", "/manage"),
    ("GET", "/manage/{token}"),
    ("GET", "/manage/{token}/history"),
    ("POST", "/manage/{token}/preferences"),
    ("POST", "/manage/{token}/address"),
    ("POST", "/manage/{token}/resume"),
    ("POST", "/manage/{token}/unsubscribe"),
    ("GET", "/manage/{token}/export"),
    ("GET", "/manage/{token}/erase"),
    ("POST", "/manage/{token}/erase"),
    ("GET", "/manage/{token}/alerts/{number}"),
    ("POST", "/manage/{token}/alerts/{number}"),
    ("POST", "/manage/{token}/alerts/{number}/{action}"),
    ("GET", "/docs"),
    ("GET", "/openapi.json"),
    ("GET", "/api/v1/prices"),
    ("GET", "/api/v1/prices/{coin}"),
    ("GET", "/api/v1/history/{coin}"),
    ("GET", "/api/v1/candles/{coin}"),
    ("GET", "/api/v1/price/{coin}"),
    ("GET", "/api/v1/compare/{coin}"),
    ("GET", "/api/v1/changes"),
    ("GET", "/api/v1/movers"),
    ("GET", "/api/v1/backtest"),
    ("POST", "/api/v1/subscriptions"),
    ("POST", "/SubscribeCoin"),
    ("GET", "/GetPriceHistory"),
}

LOG_IN = "Please log in to Airflow first, then open this page again."
FOR_OPERATORS = "This is for operators: send the token of COINWATCH_API_TOKEN as 'Authorization: Bearer …'."


class Demand(Enum):
    """What a caller needs: nothing, a login, or the right to change things."""

    NOTHING = "nothing"
    LOGIN = "login"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who proved who they are; ``operator`` says whether they may see and change subscriptions."""

    name: str
    operator: bool


Identify = Callable[[Request], Awaitable[Visitor | None]]


def demand_of(method: str, path: str, inside_airflow: bool) -> Demand:
    """What the route ``path`` (as written, with its braces) demands of a caller."""
    if is_public_everywhere(method, path):
        return Demand.NOTHING
    if (_as_listed(method), path) in PUBLIC_ALONE:
        return Demand.LOGIN if inside_airflow else Demand.NOTHING
    return Demand.OPERATOR


def is_public_everywhere(method: str, path: str) -> bool:
    return (_as_listed(method), path) in PUBLIC_EVERYWHERE


def identify_by_token(open_settings: Callable[[], Settings]) -> Identify:
    """For the app served alone: whoever sends COINWATCH_API_TOKEN as bearer token is an operator."""

    async def identify(request: Request) -> Visitor | None:
        token = bearer_token(request)
        if token is None:
            return None
        # The settings may be read from files.
        expected = (await run_in_threadpool(open_settings)).require("api_token")
        same = hmac.compare_digest(token.encode(), expected.encode())
        return Visitor("operator", operator=True) if same else None

    return identify


def bearer_token(request: Request) -> str | None:
    """The token of an ``Authorization: Bearer`` header; None without one."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


class AccessGuard:
    """Holds every request to the lists above before its route sees it; ``request.state.visitor`` says who calls."""

    def __init__(self, app: ASGIApp, *, routes: list[BaseRoute], identify: Identify, inside_airflow: bool) -> None:
        self.app = app
        self.routes = routes
        self.identify = identify
        self.inside_airflow = inside_airflow

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":  # there are none; one that comes needs its own lines here first
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        request.state.visitor = None
        # Without a route the app answers 404 or 405, which tells nobody anything.
        path = scope["coinwatch.route"] = route_path(self.routes, scope)
        if path is None or is_public_everywhere(scope["method"], path):
            await self.app(scope, receive, send)
            return
        request.state.visitor = await self.identify(request)
        refused = self._refusal(request, demand_of(scope["method"], path, self.inside_airflow))
        if refused is None:
            await self.app(scope, receive, send)
            return
        status, message = refused
        headers = {"WWW-Authenticate": "Bearer"} if status == 401 and not self.inside_airflow else {}
        await error_answer(request, status, message, headers=headers)(scope, receive, send)

    def _refusal(self, request: Request, demand: Demand) -> tuple[int, str] | None:
        visitor: Visitor | None = request.state.visitor
        if visitor is None and bearer_token(request) is not None:
            return 401, "The bearer token is not valid."
        if visitor is None and demand is not Demand.NOTHING:
            return 401, LOG_IN if self.inside_airflow else FOR_OPERATORS
        if visitor is not None and demand is Demand.OPERATOR and not visitor.operator:
            return 403, f"{visitor.name} may look but not change things here. Ask for the right to edit the DAG."
        return None


def route_path(routes: list[BaseRoute], scope: Scope) -> str | None:
    """Path of the route that will answer, as it is written; None where none will."""
    for route in routes:
        match, _ = route.matches(scope)
        if match is Match.FULL:
            return route.path if isinstance(route, Mount) else getattr(route, "path", None)
    return None


def _as_listed(method: str) -> str:
    return "GET" if method == "HEAD" else method
