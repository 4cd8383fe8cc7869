"""The frame of the operator pages, and the redirects after their forms."""

from collections.abc import Mapping
from urllib.parse import urlencode

from fastapi import Request
from starlette.responses import HTMLResponse, RedirectResponse

from coinwatch.web.dependencies import Site

SECTIONS = (
    ("overview", "/operator", "Overview"),
    ("exchanges", "/operator/exchanges", "Exchanges"),
    ("cycles", "/operator/cycles", "Cycles"),
    ("gaps", "/operator/gaps", "Gaps"),
    ("checks", "/operator/checks", "Data checks"),
    ("outbox", "/operator/outbox", "Outbox"),
    ("suppressed", "/operator/suppressed", "Suppressed"),
    ("rules", "/operator/rules", "Rules"),
    ("api-keys", "/operator/api-keys", "API keys"),
    ("audit", "/operator/audit", "Audit log"),
    ("system", "/operator/system", "System"),
)
# What a page says after a form; ``n`` is a number.
DONE = {
    "enabled": "Enabled. The next cycle fetches its prices.",
    "disabled": "Disabled. No prices are fetched from it until you enable it again.",
    "repairing": "Repair started. It continues in the background; reload this page to see its progress.",
    "repair-running": "A repair is already running. Reload this page to see its progress.",
    "reopened": "Gaps reopened: {n}. The next repair tries to fill them.",
    "retried": "Emails queued again: {n}.",
    "dropped": "Emails dropped: {n}.",
    "lifted": "Suppression lifted. Subscriptions resumed: {n}.",
    "revoked": "API key {n} revoked. It no longer works.",
}


def render_operator_page(
    site: Site, request: Request, section: str, values: Mapping[str, object] | None = None, *, status: int = 200
) -> HTMLResponse:
    """Render ``templates/operator/<section>.html``, with the message of the form that led here."""
    message = DONE.get(request.query_params.get("done", ""), "")
    number = request.query_params.get("n", "")
    shown = message.format(n=number if number.isdecimal() and len(number) < 20 else "?")
    common = {"section": section, "sections": SECTIONS, "done": shown}
    template = f"operator/{section.replace('-', '_')}.html"
    return site.render(request, template, {**common, **(values or {})}, status=status)


def redirect(request: Request, path: str, done: str, number: int | None = None, **query: str) -> RedirectResponse:
    """Redirect to a page after its form, so that reloading it repeats nothing. ``done`` is a key of DONE."""
    parameters = {**query, "done": done} | ({} if number is None else {"n": str(number)})
    return RedirectResponse(f"{request.scope['root_path']}{path}?{urlencode(parameters)}", status_code=303)
