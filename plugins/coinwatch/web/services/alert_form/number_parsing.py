"""Parses numbers as people write them: 2.5 %, 2,5, 70,000, 70.000,00 and 70 000.

Comma and point are decimal separators in some languages and thousands separators in others. Most numbers can be read in
only one way. 70,000 is ambiguous, 70000 or 70: the caller decides which is likely, and if that leaves both or neither,
the user is asked to enter it differently.
"""

import re
from collections.abc import Callable
from decimal import Decimal

# Digits, with or without thousands separators, then optionally a decimal separator and digits.
ENGLISH = re.compile(r"(?:[0-9]+|[1-9][0-9]{0,2}(?:([ ,'])[0-9]{3})(?:\1[0-9]{3})*)?(?:\.[0-9]+)?")
CONTINENTAL = re.compile(r"(?:[0-9]+|[1-9][0-9]{0,2}(?:([ .'])[0-9]{3})(?:\1[0-9]{3})*)?(?:,[0-9]+)?")
SIGNS = "%$€£¥"
# Full-width characters of Japanese and Chinese keyboards.
FULL_WIDTH = {0xFFE5: "¥"} | {code + 0xFEE0: chr(code) for code in range(0x21, 0x7F)}
NORMALIZED = str.maketrans(
    FULL_WIDTH | {"’": "'", "−": "-", "\u00a0": " ", "\u2009": " ", "\u202f": " "}  # noqa: RUF001
)


def parse_number(text: str, is_likely: Callable[[float], bool]) -> float:
    """The number in ``text``.

    ``is_likely`` chooses between two readings; it is called for ambiguous numbers only. Raises ValueError with a
    message for the user.
    """
    found = readings(text)
    if not found:
        raise ValueError(f"“{text}” is not a number. Enter a number such as 2.5 or 70000.")
    chosen = found if len(found) == 1 else [number for number in found if is_likely(number)]
    if len(chosen) != 1:
        both = " or ".join(format_plain(number) for number in found)
        raise ValueError(f"“{text}” is ambiguous. Enter {both}.")
    return chosen[0]


def readings(text: str) -> list[float]:
    """The numbers that ``text`` can mean, largest first: none, one, or two."""
    trimmed = text.translate(NORMALIZED).strip().strip(SIGNS).strip()
    sign, digits = ("-", trimmed[1:]) if trimmed.startswith("-") else ("", trimmed.removeprefix("+"))
    found = set()
    for pattern, decimal in ((ENGLISH, "."), (CONTINENTAL, ",")):
        if digits and pattern.fullmatch(digits):
            whole, _, fraction = digits.partition(decimal)
            found.add(float(f"{sign}{re.sub('[^0-9]', '', whole) or '0'}.{fraction or '0'}"))
    return sorted(found, reverse=True)


def format_plain(number: float) -> str:
    """The number with digits and a decimal point only, so that it is not ambiguous."""
    text = f"{Decimal(repr(number)):f}".removesuffix(".0")
    return text if len(readings(text)) == 1 else f"{text}0"
