"""Sparklines: the last week of a price as the path of an SVG, small enough for a page with hundreds of them."""

from collections.abc import Mapping

HOURS = 168
STEP_HOURS = 4  # one point per four hours: with more, neighbors would be less than two pixels apart
WIDTH, HEIGHT = HOURS // STEP_HOURS, 48  # of the view box
PADDING = 3
MAX_MISSING = 3  # points; the line is interrupted where more are missing


def sparkline_path(closes: Mapping[int, float]) -> str:
    """The path through the closes of hours, by the number of hours since the start; empty with fewer than two points.

    Its view box is WIDTH by HEIGHT; the lowest and highest close touch the edges except for PADDING.
    """
    points = {hour // STEP_HOURS: close for hour, close in sorted(closes.items())}
    if len(points) < 2:
        return ""
    low, high = min(points.values()), max(points.values())
    scale = (HEIGHT - 2 * PADDING) / (high - low) if high > low else 0.0
    path, before = "", None
    for step, close in points.items():
        y = round(HEIGHT - PADDING - (close - low) * scale) if scale else HEIGHT // 2
        if before is None or step - before[0] > MAX_MISSING + 1:
            path += f"M{step} {y}l"
        else:
            path += f"{' ' if path[-1] != 'l' else ''}{step - before[0]} {y - before[1]}"
        before = (step, y)
    return path.removesuffix("l")
