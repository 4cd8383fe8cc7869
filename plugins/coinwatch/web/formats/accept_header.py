"""Reading the Accept header (RFC 9110, 12.5.1)."""

from functools import lru_cache

MAX_RANGES = 30  # of the media ranges in a header, the first ones are read


def quality(media_type: str, accept: str) -> float:
    """How much a client wants a media type, from 0 (not at all) to 1: the quality of the most specific range.

    Without ranges, everything is accepted.
    """
    ranges = parse_accept(accept)
    if not ranges:
        return 1.0
    for wanted in (media_type, f"{media_type.partition('/')[0]}/*", "*/*"):
        matching = [each for media_range, each in ranges if media_range == wanted]
        if matching:
            return max(matching)
    return 0.0


@lru_cache(maxsize=256)
def parse_accept(accept: str) -> tuple[tuple[str, float], ...]:
    """The media ranges of a header with their qualities; a quality that is not a number is 0."""
    return tuple(_parse_range(part) for part in accept.split(",")[:MAX_RANGES] if part.strip())


def _parse_range(text: str) -> tuple[str, float]:
    media_range, *parameters = (part.strip().lower() for part in text.split(";"))
    given = next((each.removeprefix("q=") for each in parameters if each.startswith("q=")), "1")
    try:
        return media_range, min(1.0, max(0.0, float(given)))
    except ValueError:
        return media_range, 0.0
