"""How often an alert would have fired, in words: the same on the form, in the API and on the command line."""

from datetime import UTC, timedelta

from coinwatch.alerts.backtest import Backtest
from coinwatch.alerts.rules import Rule
from coinwatch.formatting import format_elapsed, format_since, format_timestamp, format_window
from coinwatch.time_range import DAY

ROUGH = "There are no older prices yet, so this is only a rough estimate."


def summarize(result: Backtest, rule: Rule, *, until_now: bool = True) -> tuple[str, str]:
    """How often the alert would have fired, and a caveat if there is little history; both are sentences.

    The period is called "the last 30 days" if it ends now, otherwise it has dates. Where history begins later, it is
    "since" then. Without as much history as the rule's window, nothing can be said.
    """
    if result.first_at is None:
        return "Not enough history to estimate.", ""
    if lacks_history(result, rule):
        needed = format_window(rule.history_needed)
        return f"This alert needs {needed} of history; there is {format_elapsed(_history(result, rule))}.", ""
    since = format_since(result.first_at, result.start, result.end)
    caveat = ROUGH if since and until_now else ""
    period = f"{since[0].upper()}{since[1:]}" if since else _period(result, until_now)
    count = len(result.alerts)
    if count == 0:
        return f"{period}, this alert would not have fired.", caveat
    if not rule.repeat:
        first = format_timestamp(result.alerts[0].observed_at, UTC, "minutes")
        return f"This alert would have fired on {first}, then ended.", caveat
    times = {1: "once", 2: "twice"}.get(count, f"{count:,} times")
    return f"{period}, this alert would have fired {times}{_rate(result)}.", caveat


def lacks_history(result: Backtest, rule: Rule) -> bool:
    """Whether there is less history than the rule compares with."""
    if rule.period is not None:
        return _history(result, rule) < rule.history_needed
    begins_later = result.first_at is not None and format_since(result.first_at, result.start, result.end) is not None
    return begins_later and result.history < timedelta(seconds=rule.window_seconds)


def _history(result: Backtest, rule: Rule) -> timedelta:
    """The length of the history that values are compared with; for new_high and new_low also before the start."""
    begins_at = result.known_from if rule.period is not None else result.first_at
    return result.end - (begins_at or result.end)


def _period(result: Backtest, until_now: bool) -> str:
    if not until_now:
        start, end = (format_timestamp(moment, UTC, "minutes") for moment in (result.start, result.end))
        return f"From {start} to {end}"
    duration = result.end - result.start
    length = f"{duration / DAY:.0f} days" if duration >= 2 * DAY else format_elapsed(duration)
    return f"In the last {length}"


def _rate(result: Backtest) -> str:
    """The average per week or day, if there is at least a week of history."""
    if result.per_week is None or len(result.alerts) < 2:
        return ""
    if result.per_week >= 14:
        return f", about {result.per_week / 7:.0f} a day"
    return f", about {result.per_week:.0f} a week" if result.per_week >= 0.95 else ""
