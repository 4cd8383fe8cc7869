"""Rendering a subscriber's account page, which several routes show again after an error."""

from dataclasses import dataclass
from datetime import datetime

from fastapi import Request, Response
from starlette.responses import RedirectResponse

from coinwatch.alerts.visits import record_visit
from coinwatch.notifications.subscribers import (
    AlertFilters,
    FiredAlert,
    Subscriber,
    count_alerts_since,
    get_subscriber,
    list_alerts,
)
from coinwatch.web.dependencies import Site
from coinwatch.web.services.account.alert_list import RUNNING, ListQuery, list_rows, select_rows
from coinwatch.web.services.account.time_zones import zone_or_utc

MAX_NEW_ALERTS = 5
SNOOZE_HOURS = {1: "1 hour", 8: "8 hours", 24: "1 day", 168: "1 week"}
# The messages after an action, by the parameter "done" of the redirect.
DONE = {
    "changed": "Alert changed. The new condition applies to prices from now on.",
    "confirmed": "Alert confirmed. It's now active.",
    "paused": "Alert paused. You won't get any alerts from it until you resume it.",
    "resumed": "Alert resumed. It applies to prices from now on.",
    "snoozed": "Alert snoozed.",
    "unsnoozed": "Alert unsnoozed. It's active again.",
    "deleted": "Alert deleted, along with its history.",
    "all-paused": "All your alerts are paused.",
    "all-resumed": "Your paused alerts are active again.",
    "unsuppressed": "We'll send emails to this address again. Paused alerts stay paused until you resume them.",
    "ended": "All your alerts have ended. You won't receive any more emails.",
}


@dataclass(frozen=True, slots=True)
class Message:
    """The result of an action, shown in the alert ``alert_id``, or at the top if it is None or no longer shown."""

    text: str
    alert_id: int | None = None
    failed: bool = False


@dataclass(frozen=True, slots=True)
class News:
    """The alerts that fired since the visit that ended at ``since``: their number, and the newest."""

    since: datetime
    number: int
    newest: list[FiredAlert]


def render_account_page(
    site: Site,
    request: Request,
    user_id: int,
    query: ListQuery,
    message: Message | None = None,
    *,
    status: int = 200,
) -> Response:
    """Render the account page. Raises NotFound if the subscriber was erased."""
    now = site.clock()
    subscriber = get_subscriber(site.engine, user_id)
    all_rows = list_rows(site.engine, subscriber.subscriptions, now)
    rows = select_rows(all_rows, query)
    shown = {row.subscription.id for row in rows}
    at_top = message is not None and message.alert_id not in shown
    values = {
        "subscriber": subscriber,
        "rows": rows,
        "total": len(all_rows),
        "query": query,
        "coins": dict(sorted({row.subscription.base: row.subscription.coin_name for row in all_rows}.items())),
        "ended": [own for own in subscriber.subscriptions if own.status not in RUNNING],
        "active": sum(row.subscription.status == "active" for row in all_rows),
        "paused": sum(row.subscription.status == "paused" for row in all_rows),
        "news": find_news(site, user_id, now),
        "conditions": conditions(subscriber),
        "zone": zone_or_utc(subscriber.preferences.timezone),
        "snooze_hours": SNOOZE_HOURS,
        "top_message": message if at_top else None,
        "message": None if at_top else message,
    }
    return site.render(request, "account/account.html", values, status=status)


def find_news(site: Site, user_id: int, now: datetime) -> News | None:
    """What has happened since the last visit; None during the first one. Records this visit."""
    since = record_visit(site.engine, user_id, now)
    if since is None:
        return None
    number = count_alerts_since(site.engine, user_id, since)
    newest = list_alerts(site.engine, user_id, AlertFilters(since=since), limit=MAX_NEW_ALERTS) if number else []
    return News(since, number, newest)


def redirect_to_account_page(
    request: Request, done: str, alert_id: int | None = None, query: ListQuery | None = None
) -> Response:
    """Redirect to the account page, to the alert that was changed or else to the message at the top."""
    root = request.scope.get("root_path", "")
    parameters = [query.query() if query else "", f"done={done}", f"alert={alert_id}" if alert_id else ""]
    anchor = f"#alert-{alert_id}" if alert_id else ""
    location = f"{root}/account?{'&'.join(each for each in parameters if each)}{anchor}"
    return RedirectResponse(location, status_code=303)


def conditions(subscriber: Subscriber) -> dict[int, str]:
    """The condition of each subscription, by subscription id."""
    return {own.id: own.condition for own in subscriber.subscriptions}
