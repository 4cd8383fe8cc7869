"""Decimal numbers as files write them: with a point or a comma, and possibly with separated thousands."""

import re

from coinwatch.exchanges.validation import parse_number

WITH_POINT = re.compile(r"[+-]?[1-9]\d{0,2}(?:[,'\s]\d{3})+(?:\.\d+)?")
WITH_COMMA = re.compile(r"[+-]?(?:\d+|[1-9]\d{0,2}(?:[.'\s]\d{3})+),\d+(?:[eE][+-]?\d+)?")


def parse_decimal(value: object) -> float | None:
    """A number, or text with a decimal point or comma and separated thousands; None if it is neither.

    ``1,234.50`` and ``1.234,50`` are 1234.5, and ``0,5`` is 0.5; ``1,234`` could be 1234 or 1.234, and is None.
    """
    if not isinstance(value, str):
        return parse_number(value)
    try:
        return float(value) if "_" not in value else None  # float("1_0") is 10.0
    except ValueError:
        pass
    text = value.strip()
    with_point, with_comma = bool(WITH_POINT.fullmatch(text)), bool(WITH_COMMA.fullmatch(text))
    if with_point == with_comma:
        return None
    return parse_number(re.sub(r"[,'\s]", "", text) if with_point else re.sub(r"[.'\s]", "", text).replace(",", "."))


def rounding_unit(value: object) -> float:
    """One unit of the last digit of a number in text: 0.01 for ``1.50``. 0 for others, whose digits are unknown."""
    if not isinstance(value, str):
        return 0.0
    mantissa, _, exponent = value.strip().lower().partition("e")
    _, point, fraction = mantissa.replace(",", ".").rpartition(".")
    try:
        return float(10.0 ** ((int(exponent) if exponent else 0) - (len(fraction) if point else 0)))
    except (ValueError, OverflowError):
        return 0.0
