"""Which subscriber is signed in: the session cookie. Why a link needs a button to sign in is in docs/adr/0014.

The cookie belongs to the path below which the app is served, so that other apps on the same host don't receive it. It
lasts longer than any session: the database decides when a session ends. Changes made with it are protected by the
middleware ``OriginCheck``.
"""

from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request, Response
from starlette.exceptions import HTTPException

from coinwatch.alerts import sessions
from coinwatch.alerts.sessions import Session
from coinwatch.web.dependencies import get_site

COOKIE = "coinwatch_session"
RETURN_COOKIE = "coinwatch_return"  # the page to open after signing in with an emailed link
COOKIE_SECONDS = 365 * 24 * 3600
RETURN_SECONDS = 3600
MAX_TOKENS = 4  # of one request; a browser sends one for each path that has one
MAX_PATH = 500


def signed_in_user(request: Request) -> int | None:
    """The id of the signed-in subscriber, or None. Raises DatabaseError."""
    session = signed_in_session(request)
    return session.user_id if session else None


def signed_in_session(request: Request) -> Session | None:
    """The session of the signed-in subscriber, or None: one query per request, none without a cookie."""
    if not hasattr(request.state, "session"):
        site = get_site(request)
        request.state.session = sessions.find_session(site.engine, _tokens(request), site.clock())
    found: Session | None = request.state.session
    return found


def require_session(request: Request) -> Session:
    """The session of the signed-in subscriber, for the routes in ``access.SUBSCRIBERS``, which require one."""
    session = signed_in_session(request)
    if session is None:
        raise HTTPException(401, "Sign in with the link in one of your emails.")
    return session


def require_user(request: Request) -> int:
    """The id of the signed-in subscriber; see ``require_session``."""
    return require_session(request).user_id


def sign_in(request: Request, response: Response, user_id: int) -> None:
    """Start a session in the browser that sent the request; one that it already had ends.

    Raises NotFound if the user was erased.
    """
    site = get_site(request)
    token = sessions.start_session(site.engine, user_id, site.clock(), replaced=_tokens(request))
    _set_cookie(request, response, COOKIE, token, COOKIE_SECONDS)


def sign_out(request: Request, response: Response) -> None:
    """End the session of the browser that sent the request."""
    sessions.end_sessions(get_site(request).engine, _tokens(request))
    forget(request, response)


def forget(request: Request, response: Response) -> None:
    """Delete the session cookie, after the session has ended."""
    response.delete_cookie(COOKIE, path=_cookie_path(request))


def remember_return_path(request: Request, response: Response, path: str) -> None:
    """Remember which page of ours to open after signing in. Ignores the addresses of other sites."""
    if is_own_path(path):
        _set_cookie(request, response, RETURN_COOKIE, path, RETURN_SECONDS)


def take_return_path(request: Request, response: Response) -> str:
    """The page to open after signing in, without the path of the app's mount point; by default the account page."""
    path = request.cookies.get(RETURN_COOKIE, "")
    if path:
        response.delete_cookie(RETURN_COOKIE, path=_cookie_path(request))
    return path if is_own_path(path) else "/account"


def is_own_path(path: str) -> bool:
    """Whether a path leads to a page of this app, however a browser reads it: ``//host`` and ``/\\host`` don't."""
    if not path.startswith("/") or len(path) > MAX_PATH or not path.isascii() or not path.isprintable():
        return False
    return not path.startswith("//") and "\\" not in path and not urlsplit(path).netloc


def _tokens(request: Request) -> list[str]:
    """The values of all cookies with our name. Starlette keeps only the last of those with the same name."""
    pairs = [pair.strip().partition("=") for pair in "; ".join(request.headers.getlist("cookie")).split(";")]
    return [value for name, _, value in pairs if name == COOKIE and value][:MAX_TOKENS]


def _set_cookie(request: Request, response: Response, name: str, value: str, seconds: int) -> None:
    site = get_site(request)
    secure = request.url.scheme == "https" or site.public_url().startswith("https:")
    response.set_cookie(
        name, value, max_age=seconds, path=_cookie_path(request), httponly=True, samesite="lax", secure=secure
    )


def _cookie_path(request: Request) -> str:
    return request.scope.get("root_path") or "/"


AccountDep = Annotated[int, Depends(require_user)]
SessionDep = Annotated[Session, Depends(require_session)]
