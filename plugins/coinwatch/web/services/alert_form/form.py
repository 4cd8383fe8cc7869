"""The alert form: the values it shows, and parsing what was submitted."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy import Engine

from coinwatch.alerts.rules import (
    DEFAULT_KIND,
    DEFAULT_PERCENT,
    DEFAULT_PERIOD,
    DEFAULT_WINDOW_SECONDS,
    EXTREMES,
    LADDER_KINDS,
    REQUIRED,
    Rule,
    threshold_field,
)
from coinwatch.alerts.subscriptions import SubscriptionRequest
from coinwatch.alerts.users import check_time_zone
from coinwatch.database import transaction
from coinwatch.errors import InvalidFields, InvalidRequest, NotFound, RequestError
from coinwatch.prices.catalog import FoundInstrument
from coinwatch.web.schemas.forms import NUL_CHARACTER, BacktestForm, SubscriptionForm
from coinwatch.web.services.alert_form.complete_validation import Built, Form, build_completely, instrument_field
from coinwatch.web.services.alert_form.entered_values import end_of_day, is_possible_percent, near_latest_value
from coinwatch.web.services.alert_form.number_parsing import format_plain, parse_number
from coinwatch.web.services.subscriptions import build_request, find_watched

# The initial values of the form, in the order of its fields.
EMPTY_RULE = {
    "kind": DEFAULT_KIND,
    "threshold_percent": format_plain(DEFAULT_PERCENT),
    "level": "",
    "change_window_seconds": str(DEFAULT_WINDOW_SECONDS["change_over_window"]),
    "average_window_seconds": str(DEFAULT_WINDOW_SECONDS["deviation_from_average"]),
    "period": DEFAULT_PERIOD,
    "margin_percent": "",
    "direction": "either",
    "ladder_percent": "",
    "cooldown_seconds": "",
    "metric": "price",
    "repeat": "always",
    "expires_on": "",
}
EMPTY_FORM = {"coin": "", "exchange": "", "quote": "", **EMPTY_RULE, "email": "", "timezone": ""}
VALID_THRESHOLD = 1.0  # stands in for an invalid one
MAX_FIELD_LENGTH = 300  # more than any field allows, so a truncated value is still rejected as too long
WINDOW_FIELDS = {"change_over_window": "change_window_seconds", "deviation_from_average": "average_window_seconds"}

Submitted = Mapping[str, str]


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
    return replace(request, timezone=known_time_zone(engine, submitted["timezone"]))


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
    }
    if rule.period is None:
        values[threshold_field(rule.kind)] = format_plain(rule.threshold)
    else:
        values |= {"period": rule.period, "margin_percent": format_plain(rule.threshold) if rule.threshold else ""}
    if rule.ladder_percent is not None:
        values["ladder_percent"] = format_plain(rule.ladder_percent)
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
        return {instrument_field(submitted): str(error)}
    return {"": str(error)}


def form_field(name: str, kind: str) -> str:
    """The form's field for a field of a rule: the form has one for each kind of window and of threshold."""
    fields = {
        "window_seconds": WINDOW_FIELDS.get(kind, "kind"),
        "threshold_percent": _number_field(kind),
        "expires_at": "expires_on",
    }
    return fields.get(name, name)


def _number_field(kind: str) -> str:
    if kind in EXTREMES:
        return "margin_percent"
    return "level" if kind == "crosses" else "threshold_percent"


def _parse(
    model: type[Form],
    build: Callable[[Engine, Form, datetime], Built],
    engine: Engine,
    submitted: Submitted,
    now: datetime,
) -> Built:
    submitted = {name: value.strip() for name, value in submitted.items()}
    values, errors = _typed_values(engine, submitted, now)
    try:
        return build_completely(model, build, engine, values, now, errors)
    except InvalidFields as error:
        found = form_errors(error, submitted)
    raise InvalidFields({name: found[name] for name in sorted(found, key=_position)})


def _position(field: str) -> int:
    """Where the form has the field; others are last."""
    return list(EMPTY_FORM).index(field) if field in EMPTY_FORM else len(EMPTY_FORM)


def _typed_values(engine: Engine, submitted: dict[str, str], now: datetime) -> tuple[dict[str, object], dict[str, str]]:
    """The model's values, and errors in fields that are entered differently in the form: numbers and dates."""
    kind = submitted["kind"]
    values: dict[str, object] = dict(submitted) | {"level": None, "threshold_percent": None}
    values["window_seconds"] = submitted[WINDOW_FIELDS[kind]] if kind in WINDOW_FIELDS else None
    values["repeat"] = submitted["repeat"] == "always"
    values["period"] = submitted["period"] if kind in EXTREMES else None
    if kind in EXTREMES:
        values["direction"] = "either"
    errors = {}
    number = _number_field(kind)
    model_field = "level" if kind == "crosses" else "threshold_percent"
    is_likely = near_latest_value(engine, submitted, now) if kind == "crosses" else is_possible_percent
    try:
        if submitted[number] or kind not in EXTREMES:
            values[model_field] = parse_number(submitted[number], is_likely)
    except ValueError as error:
        errors[number] = str(error) if submitted[number] else REQUIRED
        values[model_field] = VALID_THRESHOLD
    values["ladder_percent"] = None
    try:
        if submitted["ladder_percent"] and kind in LADDER_KINDS:
            values["ladder_percent"] = parse_number(submitted["ladder_percent"], is_possible_percent)
    except ValueError as error:
        errors["ladder_percent"] = str(error)
    if submitted["repeat"] not in {"always", "once"}:
        errors["repeat"] = f"repeat is {submitted['repeat']!r}; it must be always or once."
    try:
        if submitted["expires_on"]:
            values["expires_at"] = end_of_day(submitted["expires_on"])
    except ValueError as error:
        errors["expires_on"] = str(error)
    return values, errors


def known_time_zone(engine: Engine, name: str) -> str | None:
    """The time zone that a browser reported; None if it is empty or unknown."""
    try:
        with transaction(engine) as connection:
            return check_time_zone(connection, name) if name else None
    except InvalidRequest:
        return None
