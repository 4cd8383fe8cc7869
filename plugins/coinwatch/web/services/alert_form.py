"""The alert form: the values it shows, and parsing what was submitted."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, TypeVar

from fastapi import Depends, Request
from pydantic import ValidationError
from sqlalchemy import Engine

from coinwatch.alerts.rules import (
    DEFAULT_COOLDOWN_SECONDS,
    DEFAULT_KIND,
    DEFAULT_PERCENT,
    DEFAULT_WINDOW_SECONDS,
    HIGHEST_PERCENT,
    LOWEST_PERCENT,
    REQUIRED,
    Rule,
    threshold_field,
)
from coinwatch.alerts.subscriptions import SubscriptionRequest
from coinwatch.alerts.users import check_time_zone
from coinwatch.database import transaction
from coinwatch.errors import InvalidFields, InvalidRequest, NotFound, RequestError
from coinwatch.prices.catalog import FoundInstrument, find_instrument
from coinwatch.prices.history.latest import read_latest_prices
from coinwatch.web.schemas.forms import NUL_CHARACTER, BacktestForm, SubscriptionForm
from coinwatch.web.schemas.validation_messages import messages_by_field
from coinwatch.web.services.number_parsing import format_plain, parse_number
from coinwatch.web.services.subscriptions import build_request, find_watched

# The initial values of the form, in the order of its fields.
EMPTY_RULE = {
    "kind": DEFAULT_KIND,
    "threshold_percent": format_plain(DEFAULT_PERCENT),
    "level": "",
    "change_window_seconds": str(DEFAULT_WINDOW_SECONDS["change_over_window"]),
    "average_window_seconds": str(DEFAULT_WINDOW_SECONDS["deviation_from_average"]),
    "direction": "either",
    "cooldown_seconds": str(DEFAULT_COOLDOWN_SECONDS),
    "metric": "price",
    "repeat": "always",
    "expires_on": "",
}
EMPTY_FORM = {"coin": "", "exchange": "", "quote": "", **EMPTY_RULE, "email": "", "timezone": ""}
# Stand in for invalid values, so that the other ones are checked, too.
VALID = {"coin": "BTC", "email": "somebody@example.org"}
VALID_THRESHOLD = 1.0
MAX_FIELD_LENGTH = 300  # more than any field allows, so a truncated value is still rejected as too long
LIKELY_FACTOR = 5  # an ambiguous level is assumed to be within this factor of the latest value
WINDOW_FIELDS = {"change_over_window": "change_window_seconds", "deviation_from_average": "average_window_seconds"}

INSTRUMENT_FIELDS = {"coin", "exchange", "quote"}

Submitted = Mapping[str, str]
Form = TypeVar("Form", bound=BacktestForm)
Built = TypeVar("Built")


async def read_submitted_form(request: Request) -> dict[str, str]:
    """The submitted values as text, for parsing and for showing the form again. Missing fields have initial values.

    Raises InvalidRequest if a value contains a NUL character, which Postgres cannot store.
    """
    form = await request.form(max_files=0)
    submitted = dict(EMPTY_FORM)
    for name in EMPTY_FORM:
        value = form.get(name)
        if isinstance(value, str):
            if "\0" in value:
                raise InvalidRequest(name, NUL_CHARACTER)
            submitted[name] = value[:MAX_FIELD_LENGTH]
    return submitted


SubmittedForm = Annotated[dict[str, str], Depends(read_submitted_form)]


def parse_subscription_form(engine: Engine, submitted: Submitted, now: datetime) -> SubscriptionRequest:
    """Parse and validate the whole form. Only fields of the chosen kind of rule are read.

    Numbers may have the separators of any language; for an ambiguous level, the reading near the latest value is used.
    An unknown time zone is ignored, because the browser fills it in. Raises InvalidFields with all errors, in the order
    of the form.
    """
    request = _parse(SubscriptionForm, build_request, engine, submitted, now)
    return replace(request, timezone=_known_zone(engine, submitted["timezone"]))


def parse_alert_form(engine: Engine, submitted: Submitted, now: datetime) -> tuple[FoundInstrument, Rule]:
    """Parse the form without the email address: the instrument and the rule. Raises InvalidFields."""
    return _parse(BacktestForm, find_watched, engine, submitted, now)


def rule_to_form(rule: Rule) -> dict[str, str]:
    """The form's values for a rule. Its expiry is shown as the last whole UTC day on which it is active."""
    values = EMPTY_RULE | {
        "kind": rule.kind,
        "metric": rule.metric,
        "direction": rule.direction,
        "cooldown_seconds": str(rule.cooldown_seconds),
        "repeat": "always" if rule.repeat else "once",
        threshold_field(rule.kind): format_plain(rule.threshold),
    }
    if rule.kind in WINDOW_FIELDS:
        values[WINDOW_FIELDS[rule.kind]] = str(rule.window_seconds)
    if rule.expires_at:
        last_day = rule.expires_at.astimezone(UTC) - timedelta(microseconds=1)
        values["expires_on"] = last_day.date().isoformat()
    return values


def form_errors(error: RequestError, submitted: Submitted) -> dict[str, str]:
    """The messages by form field for an error of a library call. The empty name is the form as a whole."""
    if isinstance(error, InvalidRequest):
        return {form_field(name, submitted["kind"]): message for name, message in error.fields.items()}
    if isinstance(error, NotFound):
        field = "exchange" if submitted["exchange"] else "quote" if submitted["quote"] else "coin"
        return {field: str(error)}
    return {"": str(error)}


def form_field(name: str, kind: str) -> str:
    """The form's field for a field of a rule: the form has one for each kind of window."""
    return {"window_seconds": WINDOW_FIELDS.get(kind, "kind"), "expires_at": "expires_on"}.get(name, name)


def _parse(
    model: type[Form],
    build: Callable[[Engine, Form, datetime], Built],
    engine: Engine,
    submitted: Submitted,
    now: datetime,
) -> Built:
    submitted = {name: value.strip() for name, value in submitted.items()}
    values, errors = _typed_values(engine, submitted, now)
    form, invalid = _validated(model, values)
    errors = {form_field(name, submitted["kind"]): message for name, message in invalid.items()} | errors
    try:
        built = build(engine, form, now)
        if not errors:
            return built
    except RequestError as error:
        known = set() if INSTRUMENT_FIELDS.isdisjoint(errors) else INSTRUMENT_FIELDS
        found = form_errors(error, submitted)
        errors = {name: message for name, message in found.items() if name not in known} | errors
    raise InvalidFields({name: errors[name] for name in sorted(errors, key=list(EMPTY_FORM).index)})


def _validated(model: type[Form], values: Mapping[str, object]) -> tuple[Form, dict[str, str]]:
    """The form, and messages for the fields that are invalid, in whose place it has valid values."""
    given = {name: values[name] for name in model.model_fields if name in values}
    try:
        return model.model_validate(given), {}
    except ValidationError as error:
        invalid = messages_by_field(error.errors(include_url=False))
    valid = {name: VALID.get(name) for name in VALID.keys() & model.model_fields.keys()}
    return model.model_validate(valid | {name: value for name, value in given.items() if name not in invalid}), invalid


def _typed_values(engine: Engine, submitted: dict[str, str], now: datetime) -> tuple[dict[str, object], dict[str, str]]:
    """The model's values, and errors in fields that are entered differently in the form: numbers and dates."""
    kind = submitted["kind"]
    values: dict[str, object] = dict(submitted) | {"level": None, "threshold_percent": None}
    values["window_seconds"] = submitted[WINDOW_FIELDS[kind]] if kind in WINDOW_FIELDS else None
    values["repeat"] = submitted["repeat"] == "always"
    errors = {}
    number = "level" if kind == "crosses" else "threshold_percent"
    is_likely = _near_latest_value(engine, submitted, now) if kind == "crosses" else _is_possible_percent
    try:
        values[number] = parse_number(submitted[number], is_likely)
    except ValueError as error:
        errors[number] = str(error) if submitted[number] else REQUIRED
        values[number] = VALID_THRESHOLD
    if submitted["repeat"] not in {"always", "once"}:
        errors["repeat"] = f"repeat is {submitted['repeat']!r}; it must be always or once."
    try:
        if submitted["expires_on"]:
            last_day = min(date.fromisoformat(submitted["expires_on"]), date.max - timedelta(days=1))
            values["expires_at"] = datetime.combine(last_day, time(), UTC) + timedelta(days=1)
    except ValueError:
        errors["expires_on"] = f"{submitted['expires_on']!r} is not a date. Use the format 2026-01-31."
    return values, errors


def _known_zone(engine: Engine, name: str) -> str | None:
    try:
        with transaction(engine) as connection:
            return check_time_zone(connection, name) if name else None
    except InvalidRequest:
        return None


def _is_possible_percent(number: float) -> bool:
    return LOWEST_PERCENT <= number <= HIGHEST_PERCENT


def _near_latest_value(engine: Engine, submitted: Submitted, now: datetime) -> Callable[[float], bool]:
    """The two readings of a number differ by a factor of 1000, so at most one is near the latest value."""

    def is_near(number: float) -> bool:
        latest = _latest_value(engine, submitted, now)
        return latest is not None and latest / LIKELY_FACTOR < number < latest * LIKELY_FACTOR

    return is_near


def _latest_value(engine: Engine, submitted: Submitted, now: datetime) -> float | None:
    """The latest price (or 24 h volume) of the submitted instrument; None if there is none."""
    try:
        with transaction(engine) as connection:
            found = find_instrument(
                connection, submitted["coin"], submitted["exchange"] or None, submitted["quote"] or None
            )
    except NotFound:
        return None
    for row in read_latest_prices(engine, now, found.base, found.exchange, with_change=False):
        if row.quote == found.quote:
            return row.volume_24h if submitted["metric"] == "volume_24h" else row.price
    return None
