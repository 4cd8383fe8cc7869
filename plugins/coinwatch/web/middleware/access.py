"""Who may call which route: the lists below, in one place. A route that is on none of them requires an operator.

| list              | standalone                          | inside Airflow                     |
|-------------------|-------------------------------------|------------------------------------|
| PUBLIC_EVERYWHERE | everyone                            | everyone                           |
| PUBLIC_STANDALONE | everyone                            | a login to Airflow                 |
| AIRFLOW_USERS     | an operator                         | a login to Airflow                 |
| SUBSCRIBERS       | a signed-in subscriber              | the same, and a login to Airflow   |
| SCOPES            | an API key with this scope, or an operator                               |
| none              | an operator                                                              |

Operators are: a caller with COINWATCH_API_TOKEN or an API key with the scope ``operator``, a browser signed in with one
of them, and inside Airflow a user who may edit the DAG ``collect_prices``. An API key counts as a login to Airflow.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from starlette.requests import Request

from coinwatch.access.api_keys import Scope

# Method and route template. HEAD counts as GET.
Route = tuple[str, str]
PUBLIC_EVERYWHERE: frozenset[Route] = frozenset({("GET", "/health"), ("GET", "/ready"), ("GET", "/static")})

# Prices are not secret, and a subscription created without a login has to be confirmed by its address.
PUBLIC_STANDALONE: frozenset[Route] = PUBLIC_EVERYWHERE | {
    ("GET", "/"),
    ("GET", "/prices/{coin}"),
    ("GET", "/coins"),
    ("GET", "/coins/{coin}"),
    ("GET", "/coins/{coin}/alerts.atom"),
    ("GET", "/subscribe"),
    ("POST", "/subscribe"),
    ("GET", "/subscribe/preview"),
    ("POST", "/subscribe/preview"),
    ("GET", "/subscribe/bulk"),
    ("POST", "/subscribe/bulk"),
    ("GET", "/confirm/{token}"),
    ("POST", "/confirm/{token}"),
    ("GET", "/unsubscribe/{token}"),
    ("POST", "/unsubscribe/{token}"),
    ("GET", "/snooze/{token}"),
    ("POST", "/snooze/{token}"),
    ("GET", "/sign-in"),
    ("POST", "/sign-in"),
    ("POST", "/sign-out"),
    ("GET", "/manage"),
    ("GET", "/manage/{token}"),
    ("POST", "/manage/{token}"),
    ("GET", "/manage/{token}/{page:path}"),
    ("GET", "/operator/sign-in"),  # inside Airflow, its login replaces it
    ("POST", "/operator/sign-in"),
    ("GET", "/docs"),
    ("GET", "/openapi.json"),
    ("GET", "/api/v1/exchanges"),
    ("GET", "/api/v1/coins"),
    ("GET", "/api/v1/instruments"),
    ("GET", "/api/v1/stream"),
    ("GET", "/api/v1/prices"),
    ("GET", "/api/v1/prices/{coin}"),
    ("GET", "/api/v1/history/{coin}"),
    ("GET", "/api/v1/candles/{coin}"),
    ("GET", "/api/v1/gaps/{coin}"),
    ("GET", "/api/v1/price/{coin}"),
    ("GET", "/api/v1/compare/{coin}"),
    ("GET", "/api/v1/changes"),
    ("GET", "/api/v1/movers"),
    ("GET", "/api/v1/backtest"),
    ("POST", "/api/v1/subscriptions"),
    ("GET", "/udf/config"),
    ("GET", "/udf/time"),
    ("GET", "/udf/search"),
    ("GET", "/udf/symbols"),
    ("GET", "/udf/history"),
    ("GET", "/widgets.json"),
    ("POST", "/SubscribeCoin"),
    ("GET", "/GetPriceHistory"),
    ("GET", "/symbols"),
    ("GET", "/exchanges"),
    ("GET", "/tickers/{coin}/{exchange}"),
    ("GET", "/price-history-minutes/{interval}/{ticker}"),
}

# Pages for the users of Airflow, in a tab of its DAGs.
AIRFLOW_USERS: frozenset[Route] = frozenset({("GET", "/dags/{dag_id}")})

# Subscribers who are signed in, for their own alerts and data only (web/sessions.py).
SUBSCRIBERS: frozenset[Route] = frozenset(
    {
        ("GET", "/account"),
        ("GET", "/account/history"),
        ("GET", "/account/history.csv"),
        ("GET", "/account/settings"),
        ("POST", "/account/settings"),
        ("POST", "/account/test"),
        ("POST", "/account/webhook"),
        ("POST", "/account/webhook/secret"),
        ("POST", "/account/address"),
        ("POST", "/account/pause"),
        ("POST", "/account/resume"),
        ("POST", "/account/unsubscribe"),
        ("GET", "/account/export"),
        ("GET", "/account/erase"),
        ("POST", "/account/erase"),
        ("POST", "/account/sign-out"),
        ("GET", "/account/alerts/{subscription_id}"),
        ("POST", "/account/alerts/{subscription_id}"),
        ("GET", "/account/alerts/{subscription_id}/preview"),
        ("POST", "/account/alerts/{subscription_id}/preview"),
        ("GET", "/account/alerts/{subscription_id}/duplicate"),
        ("POST", "/account/alerts/{subscription_id}/{action}"),
    }
)

# Programs with an API key, for all subscriptions.
SCOPES: Mapping[Route, Scope] = {
    ("GET", "/api/v1/status"): "status:read",
    ("GET", "/api/v1/alerts"): "alerts:read",
    ("GET", "/api/v1/subscriptions"): "subscriptions:read",
    ("GET", "/api/v1/subscriptions/{subscription_id}"): "subscriptions:read",
    ("PATCH", "/api/v1/subscriptions/{subscription_id}"): "subscriptions:write",
    ("DELETE", "/api/v1/subscriptions/{subscription_id}"): "subscriptions:write",
}


class Requirement(Enum):
    """What a route requires of its caller."""

    NONE = "none"
    LOGIN = "login"
    SUBSCRIBER = "subscriber"
    SCOPE = "scope"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Visitor:
    """An authenticated caller.

    An ``operator`` may see and change everything. ``scopes`` are those of an API key with the id ``key_id``, which is
    None for people.
    """

    name: str
    operator: bool
    scopes: frozenset[Scope] = frozenset()
    key_id: int | None = None

    def may(self, scope: Scope) -> bool:
        """Whether the caller may do what this scope allows."""
        return self.operator or scope in self.scopes


Identify = Callable[[Request], Awaitable[Visitor | None]]


def requirement_of(method: str, path: str, inside_airflow: bool) -> Requirement:
    """What a route (given by its template) requires of its caller."""
    route = ("GET" if method == "HEAD" else method, path)
    if route in PUBLIC_EVERYWHERE:
        return Requirement.NONE
    if route in PUBLIC_STANDALONE:
        return Requirement.LOGIN if inside_airflow else Requirement.NONE
    if route in AIRFLOW_USERS and inside_airflow:
        return Requirement.LOGIN
    if route in SUBSCRIBERS:
        return Requirement.SUBSCRIBER
    return Requirement.SCOPE if route in SCOPES else Requirement.OPERATOR


def scope_of(method: str, path: str) -> Scope:
    """The scope that a route requires; ``operator`` if it is not in SCOPES."""
    return SCOPES.get(("GET" if method == "HEAD" else method, path), "operator")
