"""The distance from the current value to a rule's threshold in words, the same on every page."""

from datetime import timedelta

from coinwatch.alerts.distance import Distance
from coinwatch.alerts.rules import EXTREME_NAMES, PERIOD_ADJECTIVES, Rule
from coinwatch.formatting import format_amount, format_percent, format_price, format_window


def summarize_distance(distance: Distance, rule: Rule, base: str, quote: str) -> str:
    """The current value, and what it takes for the rule to fire; empty without a value.

    A condition that is true now is described as "already true". While a ladder continues, its next step has to be
    reached.
    """
    if distance.value is None:
        return ""
    now = f"{_subject(rule, base)} is {_amount(distance.value, rule, base, quote)} now"
    if distance.is_step and distance.fires_at is not None:
        return _to_step(distance, rule, now, base, quote)
    if rule.kind == "crosses":
        return _to_level(distance, rule, now)
    change = _change_so_far(distance, rule)
    if distance.is_true is None:
        needed = format_window(rule.history_needed)
        return f"{now}. This alert needs {needed} of history before it can fire."
    if rule.period:
        return _to_extreme(
            distance, rule, f"{PERIOD_ADJECTIVES[rule.period]} {EXTREME_NAMES[rule.kind]}", now, base, quote
        )
    if distance.is_true and rule.window_seconds:
        return f"This is already true: {now}, {change}. You'll get the first alert at the next update if it still is."
    text = f"{now}{', ' * bool(change)}{change}."
    if distance.fires_at is None or distance.distance_percent is None:
        return f"{text} A fall of {format_percent(rule.threshold)} can't happen."
    fires_at = _amount(distance.fires_at, rule, base, quote)
    away = format_percent(distance.distance_percent, signed=True)
    if rule.kind == "change_since_last":
        if rule.direction == "either":
            return (
                f"{text} The alert fires if the next update is {format_percent(rule.threshold)} or more away from that."
            )
        beyond = "higher" if rule.direction == "up" else "lower"
        return f"{text} The alert fires if the next update is {fires_at} or {beyond} ({away})."
    nearest = "The nearest value at which the alert fires is" if rule.direction == "either" else "The alert fires at"
    return f"{text} {nearest} {fires_at} ({away})."


def _to_step(distance: Distance, rule: Rule, now: str, base: str, quote: str) -> str:
    step = _amount(distance.fires_at or 0, rule, base, quote)
    if distance.is_true:
        return f"{now}, beyond the next step of {step}. You'll get an alert after the cooldown if it still is."
    return f"{now}. The alert fires again at {step} ({format_percent(distance.distance_percent or 0, signed=True)})."


def _to_extreme(distance: Distance, rule: Rule, extreme: str, now: str, base: str, quote: str) -> str:
    if distance.is_true:
        return f"{now}, its {extreme}. The alert fires if the next update goes further."
    if distance.fires_at is None or distance.distance_percent is None or distance.reference is None:
        return f"{now}."
    away = format_percent(abs(distance.change_percent or 0))
    where = "below" if rule.direction == "up" else "above"
    text = f"{now}, {away} {where} its {extreme} of {_amount(distance.reference, rule, base, quote)}."
    fires_at = _amount(distance.fires_at, rule, base, quote)
    return f"{text} The alert fires beyond {fires_at} ({format_percent(distance.distance_percent, signed=True)})."


def _to_level(distance: Distance, rule: Rule, now: str) -> str:
    away = distance.change_percent
    if away is None:
        return f"{now}."
    if not away:
        where = "exactly your level"
    else:
        where = f"{format_percent(abs(away))} {'above' if away > 0 else 'below'} your level"
    if not distance.is_true:
        return f"{now}. That's {where}."
    direction = {"up": "rises to", "down": "falls to", "either": "reaches"}[rule.direction]
    next_time = f"You'll get an alert the next time it {direction} it from the other side."
    return f"This is already true: {now}, {where}. {next_time}"


def _change_so_far(distance: Distance, rule: Rule) -> str:
    if distance.change_percent is None:
        return ""
    change = format_percent(distance.change_percent, signed=True)
    if rule.kind == "change_since_last":
        return f"{change} since the update before"
    window = format_window(timedelta(seconds=rule.window_seconds))
    if rule.kind == "deviation_from_average":
        return f"{change} from its average over the last {window}"
    return f"{change} over {window}"


def _subject(rule: Rule, base: str) -> str:
    return f"{base}'s 24 h volume" if rule.metric == "volume_24h" else base


def _amount(value: float, rule: Rule, base: str, quote: str) -> str:
    return f"{format_amount(value)} {base}" if rule.metric == "volume_24h" else f"{format_price(value)} {quote}"
