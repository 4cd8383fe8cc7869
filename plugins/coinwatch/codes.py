"""Codes of coins and currencies, such as BTC, 1INCH, USDT.E and 币安人生, and pairs of them.

A code is written as in the configuration. Upper and lower case never tell two codes apart: the configuration uses one
spelling of each (``coin_settings.py``), and a lookup finds it in any case.
"""

import unicodedata

DOLLAR_LIKE = ("USD", "USDT", "USDC")  # in order of preference
MAX_CODE_LENGTH = 20
# Besides letters and digits of any script: signs that exchanges use. Without / (it separates a pair), spaces, quotation
# marks and other characters that URLs, HTML, email headers or shells treat specially.
ALLOWED_SIGNS = "._-$+!*"


def parse_code(text: str) -> str:
    """The code in Unicode's composed form (NFC). Raises ValueError, without the text, if it is not a code."""
    code = compose(text)
    starts = code[:1] == "$" or _is_letter_or_digit(code[:1])
    if not starts or len(code) > MAX_CODE_LENGTH or not all(map(_is_allowed, code)):
        raise ValueError(
            f"a code has up to {MAX_CODE_LENGTH} letters, digits and {' '.join(ALLOWED_SIGNS)}, "
            "and starts with a letter, a digit or $"
        )
    return code


def parse_pair(text: str) -> str:
    """A pair such as BTC/USD, its codes in composed form. Raises ValueError, without the text, if it is not a pair."""
    codes = text.split("/")
    if len(codes) != 2:
        raise ValueError("must be a pair such as BTC/USD: a coin and a currency, separated by /")
    return "/".join(map(parse_code, codes))


def code_key(text: str) -> str:
    """What two spellings of a code have in common, for comparing them: usdt.e and USDT.E give the same key."""
    return compose(compose(text.strip()).casefold())


def compose(text: str) -> str:
    """The text in Unicode's composed form, in which codes are stored: an e with a separate accent becomes one é."""
    return unicodedata.normalize("NFC", text)


def _is_allowed(character: str) -> bool:
    return character in ALLOWED_SIGNS or _is_letter_or_digit(character) or unicodedata.category(character)[0] == "M"


def _is_letter_or_digit(character: str) -> bool:
    return character != "" and unicodedata.category(character)[0] in "LN"
