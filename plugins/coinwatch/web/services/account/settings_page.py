"""Rendering a subscriber's settings page, which several routes show again after an error."""

from collections.abc import Mapping

from fastapi import Request, Response
from starlette.responses import RedirectResponse

from coinwatch.notifications.preferences import Preferences
from coinwatch.notifications.self_test import list_tests
from coinwatch.notifications.subscribers import get_subscriber
from coinwatch.notifications.webhooks import get_webhook
from coinwatch.web.dependencies import Site
from coinwatch.web.services.account.alert_list import RUNNING
from coinwatch.web.services.account.time_zones import zone_names, zone_or_utc

# The messages after an action, by the parameter "done" of the redirect.
DONE = {
    "saved": "Settings saved.",
    "tested": "Test notification requested. Its result appears below.",
    "webhook": "Webhook saved. Send a test notification to check it.",
    "no-webhook": "Webhook removed.",
    "secret": "The webhook has a new secret. The old one still signs messages for 24 hours.",
}


def render_settings_page(
    site: Site,
    request: Request,
    user_id: int,
    *,
    done: str = "",
    form: Mapping[str, str] | None = None,
    errors: Mapping[str, str] | None = None,
    status: int = 200,
) -> Response:
    """Render the settings page.

    ``done`` is a key of :data:`DONE`; ``errors`` are shown next to the fields of the ``form``. Raises NotFound if the
    subscriber was erased.
    """
    subscriber = get_subscriber(site.engine, user_id)
    webhook = get_webhook(site.engine, user_id, site.clock())
    values = {
        "subscriber": subscriber,
        "zone": zone_or_utc(subscriber.preferences.timezone),
        "zones": zone_names(),
        "running": any(own.status in RUNNING for own in subscriber.subscriptions),
        "webhook": webhook,
        "webhooks_enabled": site.settings.webhooks_enabled,
        "tests": list_tests(site.engine, user_id),
        "form": {
            **_preferences_to_form(subscriber.preferences),
            "url": webhook.url if webhook else "",
            **(form or {}),
        },
        "errors": errors or {},
        "done": DONE.get(done),
    }
    return site.render(request, "account/settings.html", values, status=status)


def redirect_to_settings(request: Request, done: str, section: str = "") -> Response:
    """Redirect to the settings page, to a section of it or else to the message at the top."""
    root = request.scope.get("root_path", "")
    return RedirectResponse(f"{root}/account/settings?done={done}{'#' * bool(section)}{section}", status_code=303)


def _preferences_to_form(preferences: Preferences) -> dict[str, str]:
    return {
        "timezone": preferences.timezone,
        "quiet_from": f"{preferences.quiet_from:%H:%M}" if preferences.quiet_from else "",
        "quiet_until": f"{preferences.quiet_until:%H:%M}" if preferences.quiet_until else "",
        "digest": preferences.digest,
    }
