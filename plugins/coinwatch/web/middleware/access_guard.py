"""Enforces who may call which route, before the route is called."""

from collections.abc import Awaitable, Callable
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.routing import BaseRoute, Match, Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from coinwatch.errors import CoinwatchError
from coinwatch.web.error_handlers import accepts_html, error_response, handle_coinwatch_error
from coinwatch.web.middleware.access import PUBLIC_EVERYWHERE, Identify, Requirement, Visitor, requirement_of, scope_of
from coinwatch.web.middleware.identification import bearer_token

LOG_IN = "Log in to Airflow, then open this page again."
OPERATORS_ONLY = (
    "This requires an operator. Send the header 'Authorization: Bearer …' with COINWATCH_API_TOKEN or an API key."
)
SUBSCRIBERS_ONLY = "Sign in with the link in one of your emails, then open this page again."
SUBSCRIBER_SIGN_IN = "/sign-in"
OPERATOR_PAGES = "/operator"
OPERATOR_SIGN_IN = "/operator/sign-in"

# The id of the subscriber who is signed in, if there is one.
FindSubscriber = Callable[[Request], Awaitable[int | None]]


class AccessGuard:
    """Enforces the lists in ``access.py``, and sets ``request.state.visitor``.

    ``find_subscriber`` returns the subscriber whose session a request belongs to.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        routes: list[BaseRoute],
        identify: Identify,
        inside_airflow: bool,
        find_subscriber: FindSubscriber | None = None,
    ) -> None:
        self.app = app
        self.routes = routes
        self.identify = identify
        self.inside_airflow = inside_airflow
        self.find_subscriber = find_subscriber

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
        requirement = requirement_of(scope["method"], path, self.inside_airflow)
        try:
            request.state.visitor = await self.identify(request)
            denied = await self._denial(request, requirement, path)
        except CoinwatchError as error:  # a setting is invalid: exception handlers only see errors of routes
            response = await handle_coinwatch_error(request, error)
            await response(scope, receive, send)
            return
        if denied is None:
            await self.app(scope, receive, send)
            return
        status, message = denied
        login = self._login_url(request, path, requirement) if status == 401 and _is_browser(request) else None
        if login:
            await RedirectResponse(login, status_code=303)(scope, receive, send)
            return
        headers = {"WWW-Authenticate": "Bearer"} if status == 401 and not self.inside_airflow else {}
        await error_response(request, status, message, headers=headers)(scope, receive, send)

    async def _denial(self, request: Request, requirement: Requirement, path: str) -> tuple[int, str] | None:
        """Status and message of the response to a caller who lacks what the route requires; None if they may call."""
        visitor: Visitor | None = request.state.visitor
        if visitor is None and bearer_token(request) is not None:
            return 401, "The bearer token is not valid."
        if requirement is Requirement.SUBSCRIBER:
            if self.inside_airflow and visitor is None:
                return 401, LOG_IN
            return None if await self._is_subscriber(request) else (401, SUBSCRIBERS_ONLY)
        if requirement is Requirement.NONE or (requirement is Requirement.LOGIN and visitor is not None):
            return None
        if visitor is None:
            return 401, LOG_IN if self.inside_airflow else OPERATORS_ONLY
        scope = scope_of(request.method, path)
        if visitor.may(scope):
            return None
        if visitor.key_id is not None:
            return 403, f"This API key lacks the scope {scope}."
        return 403, f"{visitor.name} has read-only access. Changes require permission to edit the DAG collect_prices."

    async def _is_subscriber(self, request: Request) -> bool:
        return self.find_subscriber is not None and await self.find_subscriber(request) is not None

    def _login_url(self, request: Request, path: str, requirement: Requirement) -> str | None:
        """Where a browser logs in, to return to the page afterward; None if there is no such page."""
        if requirement is Requirement.SUBSCRIBER and (request.state.visitor or not self.inside_airflow):
            return f"{request.scope['root_path']}{SUBSCRIBER_SIGN_IN}{_next(request)}"
        if request.method != "GET":
            return None
        if self.inside_airflow and request.state.visitor is None:
            login_url = request.app.state.site.login_url
            return login_url(_return_path(request, path)) if login_url else None
        if requirement is Requirement.OPERATOR and path.startswith(OPERATOR_PAGES):
            inner = request.scope["path"].removeprefix(request.scope["root_path"])
            return f"{request.scope['root_path']}{OPERATOR_SIGN_IN}?{urlencode({'next': inner})}"
        return None


def is_public_everywhere(method: str, path: str) -> bool:
    """Whether a route needs no login, standalone or inside Airflow."""
    return ("GET" if method == "HEAD" else method, path) in PUBLIC_EVERYWHERE


def _is_browser(request: Request) -> bool:
    return bearer_token(request) is None and accepts_html(request)


def _next(request: Request) -> str:
    """The query that leads back to the page; none after a form, which can't be sent again."""
    if request.method != "GET":
        return ""
    path = request.scope["path"].removeprefix(request.scope["root_path"])
    query = f"?{request.url.query}" if request.url.query else ""
    return f"?{urlencode({'next': path + query})}"


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
