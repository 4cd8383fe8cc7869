"""Numbers as people type them: 2.5 % and 2,5 and 70,000 and 70.000,00 and 70 000.

A comma is a decimal sign to some and parts thousands to others, and so is a point. What has one reading is read so;
what has two, a thousandfold apart, is taken for the one that makes sense where it stands, and asked about where not
exactly one does.
"""

import re
from collections.abc import Callable
from decimal import Decimal

# Either is: digits with or without thousands parted, then perhaps a decimal sign and digits.
ENGLISH = re.compile(r"(?:[0-9]+|[1-9][0-9]{0,2}(?:([ ,'])[0-9]{3})(?:\1[0-9]{3})*)?(?:\.[0-9]+)?")
CONTINENTAL = re.compile(r"(?:[0-9]+|[1-9][0-9]{0,2}(?:([ .'])[0-9]{3})(?:\1[0-9]{3})*)?(?:,[0-9]+)?")
SIGNS = "%$€£¥"
# As Japanese and Chinese keyboards write digits and signs.
WIDE = {0xFFE5: "¥"} | {code + 0xFEE0: chr(code) for code in range(0x21, 0x7F)}
LOOK_ALIKES = str.maketrans(WIDE | {"’": "'", "−": "-", "\u00a0": " ", "\u2009": " ", "\u202f": " "})  # noqa: RUF001


def read_number(text: str, likely: Callable[[float], bool]) -> float:
    """The number in ``text``; ``likely`` is asked only about texts that can be read in two ways.

    Raises ValueError with a sentence for the person.
    """
    found = readings(text)
    if not found:
        raise ValueError(f"“{text}” is not a number. Write it like 2.5 or 70000.")
    chosen = found if len(found) == 1 else [number for number in found if likely(number)]
    if len(chosen) != 1:
        both = " or ".join(plain(number) for number in found)
        raise ValueError(f"“{text}” can be read in two ways. Please write {both}.")
    return chosen[0]


def readings(text: str) -> list[float]:
    """What the text can mean, the larger number first: nothing, one number, or two for one such as 70,000."""
    trimmed = text.translate(LOOK_ALIKES).strip().strip(SIGNS).strip()
    sign, digits = ("-", trimmed[1:]) if trimmed.startswith("-") else ("", trimmed.removeprefix("+"))
    found = set()
    for custom, decimal in ((ENGLISH, "."), (CONTINENTAL, ",")):
        if digits and custom.fullmatch(digits):
            whole, _, fraction = digits.partition(decimal)
            found.add(float(f"{sign}{re.sub('[^0-9]', '', whole) or '0'}.{fraction or '0'}"))
    return sorted(found, reverse=True)


def plain(number: float) -> str:
    """The number in digits and a point, so that it has one reading only."""
    text = f"{Decimal(repr(number)):f}".removesuffix(".0")
    return text if len(readings(text)) == 1 else f"{text}0"
