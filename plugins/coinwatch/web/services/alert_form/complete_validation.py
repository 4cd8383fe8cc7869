"""Validation that reports everything that is wrong with a request for an alert, not only the first problem."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TypeVar

from pydantic import ValidationError
from sqlalchemy import Engine

from coinwatch.errors import InvalidFields, InvalidRequest, NotFound
from coinwatch.web.schemas.forms import BacktestForm
from coinwatch.web.schemas.validation_messages import messages_by_field

INSTRUMENT_FIELDS = ("exchange", "quote", "coin")
# Stand in for invalid values, so that the other ones are checked, too.
VALID = {"coin": "BTC", "email": "somebody@example.org"}

Form = TypeVar("Form", bound=BacktestForm)
Built = TypeVar("Built")


def build_completely(
    model: type[Form],
    build: Callable[[Engine, Form, datetime], Built],
    engine: Engine,
    values: Mapping[str, object],
    now: datetime,
    errors: Mapping[str, str],
) -> Built:
    """Validate ``values`` and build a request from them.

    ``errors`` are messages for fields that were found invalid before, in whose place ``values`` has valid ones. Raises
    InvalidFields with these and all others.
    """
    form, invalid = _validated(model, values)
    found = {**invalid, **errors}
    try:
        built = build(engine, form, now)
        if not found:
            return built
    except NotFound as error:
        if found.keys().isdisjoint(INSTRUMENT_FIELDS):
            found |= {instrument_field(values): str(error)}
    except InvalidRequest as error:
        instrument = () if found.keys().isdisjoint(INSTRUMENT_FIELDS) else INSTRUMENT_FIELDS
        found = {name: text for name, text in error.fields.items() if name not in instrument} | found
    raise InvalidFields(found)


def instrument_field(values: Mapping[str, object]) -> str:
    """The field at which an instrument that doesn't exist is reported: the most specific one that is given."""
    return next((name for name in INSTRUMENT_FIELDS if values.get(name)), "coin")


def _validated(model: type[Form], values: Mapping[str, object]) -> tuple[Form, dict[str, str]]:
    """The form, and messages for the fields that are invalid, in whose place it has valid values."""
    given = {name: values[name] for name in model.model_fields if name in values}
    try:
        return model.model_validate(given), {}
    except ValidationError as error:
        invalid = messages_by_field(error.errors(include_url=False))
    valid = {name: value for name, value in VALID.items() if name in model.model_fields}
    return model.model_validate(valid | {name: value for name, value in given.items() if name not in invalid}), invalid
