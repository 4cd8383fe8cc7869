"""Pydantic's validation errors as messages for people."""

from collections.abc import Mapping, Sequence
from typing import Any

MAX_INPUT_LENGTH = 60


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
    kind, value, limits = str(error["type"]), _shortened(error.get("input")), error.get("ctx") or {}
    is_empty = error.get("input") in ("", None)
    if kind == "missing" or (is_empty and kind in {"string_too_short", "float_parsing", "int_parsing"}):
        return "This field is required."
    if kind in {"float_parsing", "float_type", "int_parsing", "int_type", "finite_number"}:
        return f"{field} is {value}, which is not a number. Use a decimal point, as in 2.5."
    if kind == "int_from_float":
        return f"{field} is {value}; it must be a whole number."
    if kind == "greater_than_equal":
        return f"{field} is {value}; the minimum is {_number(limits['ge'])}."
    if kind == "less_than_equal":
        return f"{field} is {value}; the maximum is {_number(limits['le'])}."
    if kind == "literal_error":
        return f"{field} is {value}; it must be one of {limits['expected']}."
    if kind == "string_too_long":
        return f"{field} is too long; the maximum is {limits['max_length']} characters."
    if kind == "extra_forbidden":
        return f"{field} is not a known field. Check the spelling."
    if kind == "json_invalid":
        return "The request body is not valid JSON."
    if kind == "duration":
        return f"{field} is {error['msg']}"
    if kind == "nul_character":
        return str(error["msg"])
    if kind.startswith(("datetime", "date_", "timezone")):
        return f"{field} is {value}; use a date and time such as 2026-01-31T12:00:00Z."
    return f"{field} is {value}: {error['msg']}."


def _number(limit: float) -> float:
    """Without decimals if it is whole."""
    return int(limit) if limit == int(limit) else limit


def _shortened(value: object) -> str:
    """The input as text. Query parameters arrive as text, so numbers are shown without quotes."""
    text = repr(value)
    if isinstance(value, str) and value.removeprefix("-").replace(".", "", 1).isdecimal():
        text = value
    return text if len(text) <= MAX_INPUT_LENGTH else text[: MAX_INPUT_LENGTH - 3] + "…'"
