"""API keys and the audit log."""

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request, Response

from coinwatch.access.api_keys import SCOPES, create_api_key, list_api_keys, revoke_api_key
from coinwatch.access.rate_limits import NEW_API_KEYS
from coinwatch.audit import list_entries
from coinwatch.errors import InvalidRequest
from coinwatch.web.dependencies import OperatorDep, Site, SiteDep
from coinwatch.web.error_handlers import TooManyRequests, status_of
from coinwatch.web.schemas.forms import Text
from coinwatch.web.services.operator.rendering import redirect, render_operator_page

router = APIRouter(include_in_schema=False)

PAGE_SIZE = 50
MAX_ID = 2**63 - 1
LIFETIMES = (("30", "30 days"), ("90", "90 days"), ("365", "1 year"), ("0", "Never"))
SCOPE_MEANINGS = {
    "status:read": "Read the state of the pipeline",
    "alerts:read": "Read fired alerts",
    "subscriptions:read": "Read all subscriptions with their addresses",
    "subscriptions:write": "Create, change and end all subscriptions",
    "operator": "Everything that operators may do",
}


@router.get("/operator/api-keys")
def show_api_keys(site: SiteDep, request: Request) -> Response:
    return _api_keys_page(site, request, {"name": "", "scopes": [], "days": "365"}, {})


@router.post("/operator/api-keys")
def create_key(
    site: SiteDep,
    actor: OperatorDep,
    request: Request,
    name: Annotated[Text, Form(max_length=200)] = "",
    scopes: Annotated[list[Text], Form(max_length=20)] = [],  # noqa: B006  FastAPI copies it
    days: Annotated[Text, Form(max_length=5)] = "365",
) -> Response:
    """The key is on this page only: it can't be shown again."""
    try:
        expires_at = _expires_at(days, site.clock())
        site.check_limit(NEW_API_KEYS, actor.name)
        key_id, token = create_api_key(site.engine, actor, name, scopes, expires_at)
    except (InvalidRequest, TooManyRequests) as error:
        form: dict[str, object] = {"name": name, "scopes": scopes, "days": days}
        field = error.field if isinstance(error, InvalidRequest) else "name"
        return _api_keys_page(site, request, form, {field: str(error)}, status=status_of(error))
    values = {"key_id": key_id, "token": token, "name": name.strip(), "expires_at": expires_at}
    return render_operator_page(site, request, "api-key-created", values, status=201)


@router.post("/operator/api-keys/{key_id}/revoke")
def revoke_key(site: SiteDep, actor: OperatorDep, request: Request, key_id: int) -> Response:
    revoke_api_key(site.engine, actor, key_id)
    return redirect(request, "/operator/api-keys", "revoked", key_id)


@router.get("/operator/audit")
def show_audit_log(
    site: SiteDep,
    request: Request,
    action: Annotated[Text, Query(max_length=50)] = "",
    actor: Annotated[Text, Query(max_length=200)] = "",
    before: Annotated[int | None, Query(ge=1, le=MAX_ID)] = None,
) -> Response:
    found = list_entries(
        site.engine,
        before=before,
        action=action.strip() or None,
        actor=actor.strip() or None,
        limit=PAGE_SIZE + 1,
    )
    values = {
        "entries": found[:PAGE_SIZE],
        "has_older": len(found) > PAGE_SIZE,
        "action": action.strip(),
        "actor": actor.strip(),
        "before": before,
        "retention_days": site.settings.audit_retention_days,
    }
    return render_operator_page(site, request, "audit", values)


def _expires_at(days: str, now: datetime) -> datetime | None:
    """When a key expires that was created with this choice; None for never. Raises InvalidRequest."""
    if days not in dict(LIFETIMES):
        raise InvalidRequest("days", "Choose when the key expires.")
    return now + timedelta(days=int(days)) if days != "0" else None


def _api_keys_page(
    site: Site, request: Request, form: dict[str, object], errors: dict[str, str], *, status: int = 200
) -> Response:
    values = {
        "keys": list_api_keys(site.engine),
        "form": form,
        "errors": errors,
        "scopes": [(scope, SCOPE_MEANINGS[scope]) for scope in SCOPES],
        "lifetimes": LIFETIMES,
    }
    return render_operator_page(site, request, "api-keys", values, status=status)
