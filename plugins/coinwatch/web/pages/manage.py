"""A person's own page, reached by the signed link in every mail: their alerts, their wishes, their data.

A GET changes nothing; every button is a POST whose path holds the token. After it the browser is sent back to the
page, so that reloading repeats nothing.
"""

import json
from dataclasses import replace
from datetime import time, timedelta
from functools import lru_cache
from typing import Annotated, Literal, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from fastapi import APIRouter, Depends, Form, Path, Query, Request, Response
from starlette.background import BackgroundTask
from starlette.responses import RedirectResponse

from coinwatch.alerts import subscription_changes as changes
from coinwatch.alerts.subscriptions import check_address
from coinwatch.alerts.users import find_user_id
from coinwatch.errors import AlreadyExists, InvalidRequest, NotFound, RequestError
from coinwatch.mail.links import read_manage
from coinwatch.notifications.data_export import export
from coinwatch.notifications.erasure import erase
from coinwatch.notifications.preferences import Digest, Preferences, set_preferences
from coinwatch.notifications.requested_emails import request_manage_link
from coinwatch.notifications.subscribers import FiredAlert, Subscriber, get_subscriber, list_alerts
from coinwatch.notifications.suppression import lift_suppression
from coinwatch.web.dependencies import ClientHere, Site, SiteHere, VisitorHere
from coinwatch.web.error_handlers import TooManyRequests, status_of
from coinwatch.web.pages.subscribe import TypedHere, newest_value
from coinwatch.web.services.subscription_requests import BLANK_RULE, form_field, read_rule, typed_rule

router = APIRouter(include_in_schema=False)

NEWEST_ALERTS = 10
SNOOZES = {1: "1 hour", 8: "8 hours", 24: "1 day", 168: "1 week"}
# What is said after a button, by the word that the address of the page then ends with.
DONE = {
    "changed": "The alert is changed. Its new condition counts for prices from now on.",
    "confirmed": "The alert is confirmed and active.",
    "paused": "The alert is paused. It stays silent until you resume it.",
    "resumed": "The alert is active again and judges every new price from now on.",
    "all-resumed": "Your paused alerts are active again.",
    "asleep": "The alert sleeps for a while.",
    "awake": "The alert is awake again.",
    "deleted": "The alert is deleted, with everything it told you.",
    "saved": "Your wishes are saved.",
    "woken": "We write to this address again. Paused alerts stay paused until you resume them.",
    "ended": "All your alerts are ended. No more mails come.",
}

Number = Annotated[int, Path(ge=1, le=2**63 - 1)]
Text = Annotated[str, Form(max_length=300)]
Action = Literal["confirm", "pause", "resume", "snooze", "wake", "delete"]


class LostLink(InvalidRequest):
    """The link is forged, cut off or too old; its page offers to mail a new one."""


def person_here(site: SiteHere, token: str) -> int:
    """The person of the token in the path."""
    try:
        return read_manage(site.settings, token)
    except InvalidRequest as error:
        raise LostLink("token", str(error)) from None


PersonHere = Annotated[int, Depends(person_here)]


async def answer_lost_link(request: Request, error: Exception) -> Response:
    """The form that mails a new link, with what is wrong with the old one."""
    site = cast("Site", request.app.state.site)
    return site.page(request, "manage_ask.html", {"email": "", "problems": {}, "lost": str(error)}, status=422)


@router.get("/manage")
def ask(site: SiteHere, request: Request) -> Response:
    return site.page(request, "manage_ask.html", {"email": "", "problems": {}, "lost": None})


@router.post("/manage")
def mail_link(site: SiteHere, visitor: VisitorHere, client: ClientHere, request: Request, email: Text = "") -> Response:
    """Says the same, after the same time, whether the address is known: the mail is queued after the answer."""
    try:
        address = check_address(email)
        if visitor is None or not visitor.operator:
            site.link_limit.take(client)
    except (InvalidRequest, TooManyRequests) as error:
        values = {"email": email, "problems": {"email": str(error)}, "lost": None}
        return site.page(request, "manage_ask.html", values, status=status_of(error))
    find_user_id(site.engine, address)  # a database that is away is said at once
    answer = site.page(request, "manage_asked.html", {"email": address})
    answer.background = BackgroundTask(request_manage_link, site.engine, address, site.clock())
    return answer


@router.get("/manage/{token}")
def own_page(
    site: SiteHere, request: Request, token: str, person: PersonHere, done: Annotated[str, Query(max_length=20)] = ""
) -> Response:
    return _page(site, request, token, person, done=DONE.get(done))


@router.get("/manage/{token}/history")
def history(
    site: SiteHere,
    request: Request,
    token: str,
    person: PersonHere,
    before: Annotated[int | None, Query(ge=1, le=2**63 - 1)] = None,
) -> Response:
    """All alerts, a page at a time; ``before`` is the number of the last one on the page before."""
    found = get_subscriber(site.engine, person)
    alerts = list_alerts(site.engine, person, before=before)
    values = {
        "token": token,
        "alerts": alerts,
        "conditions": _conditions(found),
        "zone": _zone(found.preferences.timezone),
        "before": before,
        "older": _older(site, person, alerts),
    }
    return site.page(request, "manage_history.html", values)


@router.post("/manage/{token}/preferences")
def save_preferences(
    site: SiteHere,
    request: Request,
    token: str,
    person: PersonHere,
    timezone: Text = "",
    quiet_from: Text = "",
    quiet_until: Text = "",
    digest: Text = "none",
) -> Response:
    typed = {"timezone": timezone, "quiet_from": quiet_from, "quiet_until": quiet_until, "digest": digest}
    try:
        start, end = _clock_time("quiet_from", quiet_from), _clock_time("quiet_until", quiet_until)
        wanted = Preferences(timezone.strip() or "UTC", start, end, cast("Digest", digest))
        set_preferences(site.engine, person, wanted, site.clock())
    except InvalidRequest as error:
        return _page(site, request, token, person, typed=typed, problems={error.field: str(error)}, status=422)
    return _back(request, token, "saved")


@router.post("/manage/{token}/address")
def use_address_again(site: SiteHere, request: Request, token: str, person: PersonHere) -> Response:
    lift_suppression(site.engine, person)
    return _back(request, token, "woken")


@router.post("/manage/{token}/resume")
def resume_everything(site: SiteHere, request: Request, token: str, person: PersonHere) -> Response:
    changes.resume_all(site.engine, person, site.clock())
    return _back(request, token, "all-resumed")


@router.post("/manage/{token}/unsubscribe")
def end_everything(site: SiteHere, request: Request, token: str, person: PersonHere) -> Response:
    changes.unsubscribe_all(site.engine, person)
    return _back(request, token, "ended")


@router.get("/manage/{token}/export")
def take_along(site: SiteHere, person: PersonHere) -> Response:
    text = json.dumps(export(site.engine, person, site.clock()), ensure_ascii=False)
    headers = {"Content-Disposition": 'attachment; filename="coinwatch.json"'}
    return Response(text + "\n", media_type="application/json", headers=headers)


@router.get("/manage/{token}/erase")
def ask_to_erase(site: SiteHere, request: Request, token: str, person: PersonHere) -> Response:
    return site.page(request, "manage_erase.html", {"token": token, "person": get_subscriber(site.engine, person)})


@router.post("/manage/{token}/erase")
def do_erase(site: SiteHere, request: Request, person: PersonHere) -> Response:
    erase(site.engine, person)
    return site.page(request, "manage_erased.html")


@router.get("/manage/{token}/alerts/{number}")
def edit(site: SiteHere, request: Request, token: str, person: PersonHere, number: Number) -> Response:
    own = changes.own_subscription(site.engine, person, number)
    return site.page(
        request, "manage_edit.html", {"token": token, "own": own, "typed": typed_rule(own.rule), "problems": {}}
    )


@router.post("/manage/{token}/alerts/{number}")
def save_rule(
    site: SiteHere, request: Request, token: str, person: PersonHere, number: Number, sent: TypedHere
) -> Response:
    own = changes.own_subscription(site.engine, person, number)
    market = {"coin": own.base, "exchange": own.exchange, "quote": own.quote}
    typed = {name: sent[name] for name in BLANK_RULE} | {"kind": own.kind, "metric": own.metric}
    rule, problems = read_rule(typed, newest_value(site, market | typed))
    try:
        if rule is not None:
            if typed["expires_on"] == typed_rule(own.rule)["expires_on"]:
                rule = replace(rule, expires_at=own.expires_at)  # the form shows only its day
            changes.change_rule(site.engine, person, number, rule, site.clock())
            return _back(request, token, "changed", f"alert-{number}")
    except InvalidRequest as error:
        problems = {form_field(error.field, own.kind): str(error)}
    except AlreadyExists as error:
        problems = {"": str(error)}
    values = {"token": token, "own": own, "typed": typed, "problems": problems}
    return site.page(request, "manage_edit.html", values, status=409 if "" in problems else 422)


@router.post("/manage/{token}/alerts/{number}/{action}")
def act(
    site: SiteHere,
    request: Request,
    token: str,
    person: PersonHere,
    number: Number,
    action: Action,
    hours: Annotated[int, Form(ge=1, le=max(SNOOZES))] = 1,
) -> Response:
    """One button of one alert; what cannot be done is said on the page."""
    engine, now = site.engine, site.clock()
    try:
        if action == "pause":
            changes.pause(engine, person, number)
        elif action in {"resume", "confirm"}:
            changes.resume(engine, person, number, now)
        elif action == "delete":
            changes.delete(engine, person, number)
        else:
            until = now + timedelta(hours=hours) if action == "snooze" else None
            changes.snooze(engine, person, number, until, now)
    except (InvalidRequest, NotFound, AlreadyExists) as error:
        return _page(site, request, token, person, trouble=error, status=status_of(error))
    said = {
        "pause": "paused",
        "resume": "resumed",
        "confirm": "confirmed",
        "snooze": "asleep",
        "wake": "awake",
        "delete": "deleted",
    }[action]
    return _back(request, token, said, "" if action == "delete" else f"alert-{number}")


def _page(
    site: Site,
    request: Request,
    token: str,
    person: int,
    *,
    done: str | None = None,
    trouble: RequestError | None = None,
    typed: dict[str, str] | None = None,
    problems: dict[str, str] | None = None,
    status: int = 200,
) -> Response:
    """The own page, with a word on what was done, or what was wrong with it. Raises NotFound after an erasure."""
    found = get_subscriber(site.engine, person)
    alerts = list_alerts(site.engine, person, at_most=NEWEST_ALERTS)
    now = site.clock()
    living = [own for own in found.subscriptions if own.status in {"pending", "active", "paused"}]
    values = {
        "token": token,
        "person": found,
        "living": living,
        "past": [own for own in found.subscriptions if own not in living],
        "states": {own.id: own.state(now) for own in found.subscriptions},
        "paused": sum(own.status == "paused" for own in living),
        "alerts": alerts,
        "conditions": _conditions(found),
        "older": _older(site, person, alerts),
        "zone": _zone(found.preferences.timezone),
        "zones": _zones(),
        "snoozes": SNOOZES,
        "typed": typed or _typed(found.preferences),
        "problems": problems or {},
        "done": done,
        "trouble": str(trouble) if trouble else None,
    }
    return site.page(request, "manage.html", values, status=status)


def _back(request: Request, token: str, done: str, part: str = "") -> Response:
    """To the own page, to where the button was; without a ``part`` to what is said of it at the top."""
    root = request.scope.get("root_path", "")
    return RedirectResponse(f"{root}/manage/{token}?done={done}{'#' if part else ''}{part}", status_code=303)


def _older(site: Site, person: int, alerts: list[FiredAlert]) -> bool:
    """Whether there are alerts before these."""
    return bool(alerts) and bool(list_alerts(site.engine, person, before=alerts[-1].id, at_most=1))


def _conditions(person: Subscriber) -> dict[int, str]:
    """Each subscription's rule in words."""
    return {own.id: own.condition for own in person.subscriptions}


def _typed(wishes: Preferences) -> dict[str, str]:
    return {
        "timezone": wishes.timezone,
        "quiet_from": f"{wishes.quiet_from:%H:%M}" if wishes.quiet_from else "",
        "quiet_until": f"{wishes.quiet_until:%H:%M}" if wishes.quiet_until else "",
        "digest": wishes.digest,
    }


def _clock_time(field: str, text: str) -> time | None:
    """The time of a clock on the wall that was typed; None for nothing typed."""
    if not text.strip():
        return None
    try:
        return time.fromisoformat(text.strip()).replace(tzinfo=None)
    except ValueError:
        raise InvalidRequest(field, f"{text!r} is not a time of day. Write it like 22:30.") from None


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


@lru_cache
def _zones() -> list[str]:
    """The time zones that people live in, by name."""
    return sorted(name for name in available_timezones() if "/" in name and not name.startswith("Etc/")) + ["UTC"]
