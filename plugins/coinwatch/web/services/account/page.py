"""Rendering a subscriber's account page, which several routes show again after an error."""

from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from fastapi import Request, Response
from starlette.responses import RedirectResponse

from coinwatch.notifications.preferences import Preferences
from coinwatch.notifications.subscribers import FiredAlert, Subscriber, get_subscriber, list_alerts
from coinwatch.web.dependencies import Site

MAX_ALERTS = 10
SNOOZE_HOURS = {1: "1 hour", 8: "8 hours", 24: "1 day", 168: "1 week"}
# The messages after an action, by the parameter "done" of the redirect.
DONE = {
    "changed": "Alert changed. The new condition applies to prices from now on.",
    "confirmed": "Alert confirmed. It's now active.",
    "paused": "Alert paused. You won't get any alerts from it until you resume it.",
    "resumed": "Alert resumed. It applies to prices from now on.",
    "all-resumed": "Your paused alerts are active again.",
    "snoozed": "Alert snoozed.",
    "unsnoozed": "Alert unsnoozed. It's active again.",
    "deleted": "Alert deleted, along with its history.",
    "saved": "Settings saved.",
    "unsuppressed": "We'll send emails to this address again. Paused alerts stay paused until you resume them.",
    "ended": "All your alerts have ended. You won't receive any more emails.",
}


def render_account_page(
    site: Site,
    request: Request,
    subscriber_id: int,
    *,
    done: str = "",
    error: str | None = None,
    form: dict[str, str] | None = None,
    errors: dict[str, str] | None = None,
    status: int = 200,
) -> Response:
    """Render the account page.

    ``done`` is a key of :data:`DONE`. ``error`` is shown at the top, ``errors`` next to the fields of the settings
    ``form``. Raises NotFound if the subscriber was erased.
    """
    subscriber = get_subscriber(site.engine, subscriber_id)
    alerts = list_alerts(site.engine, subscriber_id, limit=MAX_ALERTS)
    now = site.clock()
    running = [own for own in subscriber.subscriptions if own.status in {"pending", "active", "paused"}]
    values = {
        "subscriber": subscriber,
        "running": running,
        "ended": [own for own in subscriber.subscriptions if own not in running],
        "states": {own.id: own.state(now) for own in subscriber.subscriptions},
        "paused": sum(own.status == "paused" for own in running),
        "alerts": alerts,
        "conditions": conditions(subscriber),
        "has_older": has_older_alerts(site, subscriber_id, alerts),
        "zone": zone_or_utc(subscriber.preferences.timezone),
        "zones": _zone_names(),
        "snooze_hours": SNOOZE_HOURS,
        "form": form or _preferences_to_form(subscriber.preferences),
        "errors": errors or {},
        "done": DONE.get(done),
        "error": error,
    }
    return site.render(request, "account/account.html", values, status=status)


def redirect_to_account_page(request: Request, done: str, anchor: str = "") -> Response:
    """Redirect to the account page, to the ``anchor`` of the changed alert or else to the message at the top."""
    root = request.scope.get("root_path", "")
    return RedirectResponse(f"{root}/account?done={done}{'#' if anchor else ''}{anchor}", status_code=303)


def conditions(subscriber: Subscriber) -> dict[int, str]:
    """The condition of each subscription, by subscription id."""
    return {own.id: own.condition for own in subscriber.subscriptions}


def has_older_alerts(site: Site, subscriber_id: int, alerts: list[FiredAlert]) -> bool:
    """Whether there are alerts older than the last of these."""
    return bool(alerts) and bool(list_alerts(site.engine, subscriber_id, before=alerts[-1].id, limit=1))


def zone_or_utc(name: str) -> ZoneInfo:
    """The time zone, or UTC if this system doesn't have it."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def _preferences_to_form(preferences: Preferences) -> dict[str, str]:
    return {
        "timezone": preferences.timezone,
        "quiet_from": f"{preferences.quiet_from:%H:%M}" if preferences.quiet_from else "",
        "quiet_until": f"{preferences.quiet_until:%H:%M}" if preferences.quiet_until else "",
        "digest": preferences.digest,
    }


@lru_cache
def _zone_names() -> list[str]:
    """The names of regional time zones, and UTC."""
    return sorted(name for name in available_timezones() if "/" in name and not name.startswith("Etc/")) + ["UTC"]
