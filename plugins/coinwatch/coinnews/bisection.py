"""Random paths that depend only on a seed, a name and the time, found by bisection.

``motion`` is a Brownian motion (Paul Lévy's construction): in the middle of an interval, it is the mean of the ends
plus a normal random number drawn from a hash of seed, name and position. It returns to zero every 97 days, so that
prices do not drift away over years. ``traded`` is what has been traded since 1970: each half of an interval gets a
random share, so that there are busy and quiet hours, and the volumes of any ranges add up.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from hashlib import blake2b
from statistics import NormalDist

HALVINGS = 23
PERIOD_SECONDS = 2**HALVINGS  # 97 days; a value is valid for one second
SHORTEST_VOLUME_SECONDS = 64  # within which volume is spread evenly
VOLUME_SPREAD = 0.25  # how unequal the halves are: the standard deviation of the logarithm of their ratio
NORMAL = NormalDist()

# The value in the middle of an interval: from those at its ends, the square root of its seconds, and a normal number.
Middle = Callable[[float, float, float, float], float]


def motion(seed: int, name: str, second: int) -> float:
    """The Brownian motion at ``second`` (Unix time), with a variance of 1 per second, zero at the ends of a period."""
    period, position = divmod(second, PERIOD_SECONDS)
    return _descend(seed, name, _motion_middle, period, position, (0, PERIOD_SECONDS, 0.0, 0.0))


def motion_path(seed: int, name: str, start: int, end: int, spacing: int) -> list[float]:
    """``motion`` at every multiple of ``spacing``, a power of 2, from the last by ``start`` to the first from ``end``.

    Each point costs one random number, where ``motion`` needs up to 23.
    """
    return _path(seed, name, _motion_middle, start, end, spacing, 0.0)


def motion_between(seed: int, name: str, second: int, spacing: int, left: float, right: float) -> float:
    """``motion`` at ``second``, from the values of ``motion_path`` next to it; the same number as ``motion``."""
    period, position = divmod(second, PERIOD_SECONDS)
    known = (position - position % spacing, spacing, left, right)
    return _descend(seed, name, _motion_middle, period, position, known)


def traded(seed: int, name: str, second: int) -> float:
    """What has been traded by ``second`` (Unix time), if one unit is traded in an average second."""
    period, position = divmod(second, PERIOD_SECONDS)
    before = position - position % SHORTEST_VOLUME_SECONDS
    first = period * float(PERIOD_SECONDS)
    whole = (0, PERIOD_SECONDS, first, first + PERIOD_SECONDS)
    left = _descend(seed, _volume_of(name), _traded_middle, period, before, whole)
    right = _descend(seed, _volume_of(name), _traded_middle, period, before + SHORTEST_VOLUME_SECONDS, whole)
    return float(left + (right - left) * (position - before) / SHORTEST_VOLUME_SECONDS)


def traded_path(seed: int, name: str, start: int, end: int) -> list[float]:
    """``traded`` at every multiple of SHORTEST_VOLUME_SECONDS, as in ``motion_path``."""
    spacing = SHORTEST_VOLUME_SECONDS
    return _path(seed, _volume_of(name), _traded_middle, start, end, spacing, float(PERIOD_SECONDS))


def _volume_of(name: str) -> str:
    return f"volume/{name}"


def _motion_middle(left: float, right: float, root: float, normal: float) -> float:
    return (left + right) / 2 + root / 2 * normal


def _traded_middle(left: float, right: float, root: float, normal: float) -> float:
    return left + (right - left) / (1 + math.exp(VOLUME_SPREAD * normal))


def _descend(
    seed: int, name: str, middle_of: Middle, period: int, position: int, known: tuple[int, int, float, float]
) -> float:
    """The value at ``position``, from an interval around it: its first second, width, and the values at its ends."""
    low, width, left, right = known
    if position == low + width:
        return right
    while position != low:
        half = width // 2
        middle = middle_of(left, right, math.sqrt(width), _normal(seed, name, period, low + half))
        if position < low + half:
            right = middle
        else:
            low, left = low + half, middle
        width = half
    return left


def _path(
    seed: int, name: str, middle_of: Middle, start: int, end: int, spacing: int, per_period: float
) -> list[float]:
    first, last = start - start % spacing, end + -end % spacing
    values: list[float] = []
    for period in range(first // PERIOD_SECONDS, -(-last // PERIOD_SECONDS)):
        begin = period * PERIOD_SECONDS
        ends = (period * per_period, (period + 1) * per_period)
        bounds = (max(first - begin, 0), min(last - begin, PERIOD_SECONDS))
        values[-1:] = _path_in_period(seed, name, middle_of, period, ends, bounds, spacing)
    return values


def _path_in_period(
    seed: int,
    name: str,
    middle_of: Middle,
    period: int,
    ends: tuple[float, float],
    bounds: tuple[int, int],
    spacing: int,
) -> list[float]:
    """The values at every multiple of ``spacing`` within ``bounds``, seconds of this period that are such multiples."""
    values, low, width = list(ends), 0, PERIOD_SECONDS
    while width > spacing:
        half, root = width // 2, math.sqrt(width)
        finer = values[:1]
        for number, right in enumerate(values[1:]):
            normal = _draw_normal(seed, name, period, low + number * width + half)
            finer += (middle_of(values[number], right, root, normal), right)
        first, last = bounds[0] // half, -(-bounds[1] // half)
        offset = first - low // half
        values, low, width = finer[offset : offset + last - first + 1], first * half, half
    return values


def _draw_normal(seed: int, name: str, period: int, position: int) -> float:
    """A standard normal random number, determined by the arguments."""
    digest = blake2b(f"{seed}/{name}/{period}/{position}".encode(), digest_size=8).digest()
    return NORMAL.inv_cdf((int.from_bytes(digest, "big") + 0.5) / 2**64)


_normal = lru_cache(maxsize=100_000)(_draw_normal)
