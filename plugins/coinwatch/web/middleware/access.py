"""Who may call which route. A route that is not on a list here requires an operator.

The standalone app has no login: its pages are public, and operators send COINWATCH_API_TOKEN. Inside Airflow,
everything except the health check and static files requires a login to Airflow.
"""

import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.routing import BaseRoute, Match, Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from coinwatch.errors import CoinwatchError
from coinwatch.settings import Settings
from coinwatch.web.error_handlers import accepts_html, error_response, handle_coinwatch_error

# Method and route template. HEAD counts as GET.
PUBLIC_EVERYWHERE = frozenset({("GET", "/health"), ("GET", "/static")})

# Prices are not secret, and a subscription created without a login has to be confirmed by its address.
PUBLIC_STANDALONE = PUBLIC_EVERYWHERE | {
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
    ("POST", "/manage/{token}/sign-out"),
    ("GET", "/manage/{token}/alerts/{subscription_id}"),
    ("POST", "/manage/{token}/alerts/{subscription_id}"),
    ("POST", "/manage/{token}/alerts/{subscription_id}/{action}"),
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

LOG_IN = "Log in to Airflow, then open this page again."
OPERATORS_ONLY = "This requires an operator. Send the header 'Authorization: Bearer …' with COINWATCH_API_TOKEN."


class Requirement(Enum):
    """What a route requires of its caller."""

    NONE = "none"
    LOGIN = "login"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Visitor:
    """An authenticated caller. An ``operator`` may see and change all subscriptions."""

    name: str
    operator: bool


Identify = Callable[[Request], Awaitable[Visitor | None]]


def requirement_of(method: str, path: str, inside_airflow: bool) -> Requirement:
    """What a route (given by its template) requires of its caller."""
    if is_public_everywhere(method, path):
        return Requirement.NONE
    if (_listed_method(method), path) in PUBLIC_STANDALONE:
        return Requirement.LOGIN if inside_airflow else Requirement.NONE
    return Requirement.OPERATOR


def is_public_everywhere(method: str, path: str) -> bool:
    """Whether a route needs no login, standalone or inside Airflow."""
    return (_listed_method(method), path) in PUBLIC_EVERYWHERE


def identify_by_token(open_settings: Callable[[], Settings]) -> Identify:
    """For the standalone app: a caller with COINWATCH_API_TOKEN as bearer token is an operator."""

    async def identify(request: Request) -> Visitor | None:
        token = bearer_token(request)
        if token is None:
            return None
        # In a thread, because settings may be read from files.
        expected = (await run_in_threadpool(open_settings)).require("api_token")
        same = hmac.compare_digest(token.encode(), expected.encode())
        return Visitor("operator", operator=True) if same else None

    return identify


def bearer_token(request: Request) -> str | None:
    """The token of the ``Authorization: Bearer`` header, if there is one."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


class AccessGuard:
    """Enforces the lists above before a route is called, and sets ``request.state.visitor``."""

    def __init__(self, app: ASGIApp, *, routes: list[BaseRoute], identify: Identify, inside_airflow: bool) -> None:
        self.app = app
        self.routes = routes
        self.identify = identify
        self.inside_airflow = inside_airflow

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":  # there are none yet; a new one has to be guarded here first
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        request.state.visitor = None
        # Without a route the app responds 404 or 405, which reveals nothing.
        path = request.state.route = route_path(self.routes, scope)
        if path is None or is_public_everywhere(scope["method"], path):
            await self.app(scope, receive, send)
            return
        try:
            request.state.visitor = await self.identify(request)
        except CoinwatchError as error:  # a setting is invalid: exception handlers only see errors of routes
            response = await handle_coinwatch_error(request, error)
            await response(scope, receive, send)
            return
        denied = self._denial(request, requirement_of(scope["method"], path, self.inside_airflow))
        if denied is None:
            await self.app(scope, receive, send)
            return
        status, message = denied
        login_url = request.app.state.site.login_url
        if status == 401 and login_url and _is_page(request):
            await RedirectResponse(login_url(_return_path(request, path)), status_code=303)(scope, receive, send)
            return
        headers = {"WWW-Authenticate": "Bearer"} if status == 401 and not self.inside_airflow else {}
        await error_response(request, status, message, headers=headers)(scope, receive, send)

    def _denial(self, request: Request, requirement: Requirement) -> tuple[int, str] | None:
        visitor: Visitor | None = request.state.visitor
        if visitor is None and bearer_token(request) is not None:
            return 401, "The bearer token is not valid."
        if visitor is None and requirement is not Requirement.NONE:
            return 401, LOG_IN if self.inside_airflow else OPERATORS_ONLY
        if visitor is not None and requirement is Requirement.OPERATOR and not visitor.operator:
            return (
                403,
                f"{visitor.name} has read-only access. Changes require permission to edit the DAG collect_prices.",
            )
        return None


def _is_page(request: Request) -> bool:
    return request.method == "GET" and bearer_token(request) is None and accepts_html(request)


def _return_path(request: Request, template: str) -> str:
    """Where to return after the login, without tokens and addresses, which would appear in Airflow's log."""
    return quote(f"{request.scope['root_path']}/" if "{token}" in template else request.scope["path"])


def route_path(routes: list[BaseRoute], scope: Scope) -> str | None:
    """Template of the route that will handle the request, if there is one."""
    for route in routes:
        match, _ = route.matches(scope)
        if match is Match.FULL:
            return route.path if isinstance(route, Mount) else getattr(route, "path", None)
    return None


def _listed_method(method: str) -> str:
    return "GET" if method == "HEAD" else method
