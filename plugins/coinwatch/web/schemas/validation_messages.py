"""Pydantic's validation errors as messages for people."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from coinwatch.formatting import escape_control_characters

MAX_INPUT_LENGTH = 60
NOT_AN_OBJECT = {"model_attributes_type", "model_type", "dict_type"}
NOT_A_NUMBER = "{field} is {value}, which is not a number. Use a decimal point, as in 2.5."
NOT_A_BOOLEAN = "{field} is {value}; it must be true or false."
# By pydantic's error types (https://docs.pydantic.dev/latest/errors/validation_errors/).
TEMPLATES = {
    **dict.fromkeys(("float_parsing", "float_type", "int_parsing", "int_type", "finite_number"), NOT_A_NUMBER),
    **dict.fromkeys(("bool_parsing", "bool_type"), NOT_A_BOOLEAN),
    "int_from_float": "{field} is {value}; it must be a whole number.",
    "greater_than_equal": "{field} is {value}; the minimum is {limit}.",
    "less_than_equal": "{field} is {value}; the maximum is {limit}.",
    "literal_error": "{field} is {value}; it must be one of {expected}.",
    "string_too_long": "{field} is too long; the maximum is {limit} characters.",
    "string_unicode": "{field} is {value}; it must be valid Unicode.",
    "string_type": "{field} is {value}; it must be text.",
    "datetime": "{field} is {value}; use a date and time such as 2026-01-31T12:00:00Z.",
    "extra_forbidden": "{field} is not a known field. Check the spelling.",
    "json_invalid": "The request body is not valid JSON.",
    "duration": "{field} is {message}",
    "nul_character": "{message}",
    "address": "{message}",
}


def messages_by_field(errors: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """One message per invalid field, from pydantic's list of errors. The empty name is the request as a whole."""
    messages: dict[str, str] = {}
    for error in errors:
        location = [str(part) for part in error["loc"] if part not in {"body", "query", "path", "header"}]
        is_whole_body = not location or error["type"] == "json_invalid"  # its location is an offset in the text
        field = "" if is_whole_body else location[0]
        messages.setdefault(field, _message(field, error))
    return messages


def _message(field: str, error: Mapping[str, Any]) -> str:
    kind, limits = str(error["type"]), error.get("ctx") or {}
    is_empty = error.get("input") in ("", None)
    if kind == "missing" or (is_empty and kind in {"string_too_short", "float_parsing", "int_parsing"}):
        return "This field is required."
    if not field and kind in NOT_AN_OBJECT:
        return "The request body must be a JSON object, sent with the header Content-Type: application/json."
    if kind.startswith(("datetime", "date_", "timezone")):
        kind = "datetime"
    template = TEMPLATES.get(kind, "{field} is {value}: {message}.")
    return template.format(
        field=field,
        value=_shortened(error.get("input")),
        message=error["msg"],
        limit=_number(limits.get("ge", limits.get("le", limits.get("max_length", 0)))),
        expected=str(limits.get("expected")).replace("'", ""),
    )


def _number(limit: float) -> float:
    """Without decimals if it is whole."""
    return int(limit) if limit == int(limit) else limit


def _shortened(value: object) -> str:
    """The input as JSON, which is how it was sent. Query parameters arrive as text, so numbers have no quotes."""
    if isinstance(value, str) and value.removeprefix("-").replace(".", "", 1).isdecimal():
        return value
    text = escape_control_characters(json.dumps(value, ensure_ascii=False, default=str))
    return text if len(text) <= MAX_INPUT_LENGTH else text[: MAX_INPUT_LENGTH - 3] + "…"
