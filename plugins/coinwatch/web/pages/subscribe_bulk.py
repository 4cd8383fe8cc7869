"""Creating several alerts from a CSV file: check it, then create all of its alerts or none."""

from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Depends, Request, Response
from starlette.datastructures import UploadFile

from coinwatch.alerts.subscriptions import SubscriptionRequest, check_address
from coinwatch.errors import InvalidRequest, RequestError, TooManySubscriptions
from coinwatch.web.dependencies import ActorDep, ClientDep, SiteDep, VisitorDep
from coinwatch.web.error_handlers import TooManyRequests, status_of
from coinwatch.web.schemas.forms import NUL_CHARACTER
from coinwatch.web.services.alert_form.bulk_page import BulkForm, BulkPage
from coinwatch.web.services.alert_form.csv_file import AlertList, decode_csv, parse_alerts
from coinwatch.web.services.alert_form.form import MAX_FIELD_LENGTH, known_time_zone
from coinwatch.web.services.subscriptions import create_subscriptions
from coinwatch.web.sessions import signed_in_session

router = APIRouter(include_in_schema=False)


async def read_bulk_form(request: Request) -> BulkForm:
    """The submitted form. A file, if one was chosen, replaces the text."""
    async with request.form(max_files=1) as form:
        values = {name: value for name, value in form.items() if isinstance(value, str)}
        file = form.get("file")
        text = values.get("csv", "")
        if isinstance(file, UploadFile) and file.size:
            text = decode_csv(await file.read())
    fields = {name: values.get(name, "")[:MAX_FIELD_LENGTH] for name in ("email", "timezone", "action")}
    if any("\0" in value for value in fields.values()):
        raise InvalidRequest("", NUL_CHARACTER)
    return BulkForm(text, **fields)


@router.get("/subscribe/bulk")
def show_form(site: SiteDep, request: Request) -> Response:
    return BulkPage(site, request).show(BulkForm())


@router.post("/subscribe/bulk")
def check_or_create(
    site: SiteDep,
    visitor: VisitorDep,
    actor: ActorDep,
    client: ClientDep,
    request: Request,
    form: Annotated[BulkForm, Depends(read_bulk_form)],
    background: BackgroundTasks,
) -> Response:
    """Show what the file contains, or everything that is wrong with it. The button below that creates the alerts."""
    page = BulkPage(site, request)
    try:
        with site.query_slots.acquire():  # up to a hundred look-ups
            listed = parse_alerts(site.engine, form.text, site.clock())
    except TooManyRequests as error:
        return _with_error(page, form, AlertList([], []), error)
    if listed.errors:
        return page.show(form, listed, status=422)
    if form.action != "create":
        return page.show(form, listed)
    try:
        email = check_address(form.email)
        zone = known_time_zone(site.engine, form.timezone)
        requests = [SubscriptionRequest(email, each.instrument, each.rule, zone) for each in listed.alerts]
        created = create_subscriptions(site, requests, visitor, client, background, signed_in_session(request), actor)
    except (InvalidRequest, TooManySubscriptions, TooManyRequests) as error:
        return _with_error(page, form, listed, error)
    values = {"email": email, "created": created, "number": len(requests)}
    return site.render(request, "alerts/bulk_subscribed.html", values, status=201 if created else 200)


def _with_error(page: BulkPage, form: BulkForm, listed: AlertList, error: RequestError) -> Response:
    fields = dict(error.fields) if isinstance(error, InvalidRequest) else {"": str(error)}
    response = page.show(form, listed, fields, status=status_of(error))
    if isinstance(error, TooManyRequests):
        response.headers["Retry-After"] = str(error.retry_after)
    return response
