"""What needs an operator's attention, most urgent first."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from coinwatch.access.api_keys import ApiKey
from coinwatch.formatting import format_age, format_count, format_timestamp
from coinwatch.status import ExchangeHealth, Status

OUTBOX_DELAY = timedelta(minutes=15)
KEY_EXPIRES_SOON = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Problem:
    """A sentence about a problem, and the operator page on which to look into it."""

    text: str
    path: str


def find_problems(
    status: Status, open_gaps: int, keys: list[ApiKey], max_price_age: timedelta, now: datetime
) -> list[Problem]:
    """What is not as it should be: prices first, then emails, then the rest."""
    newest = status.newest_price_at
    found = []
    if newest is None:
        found.append(Problem("There are no prices yet.", "/operator/cycles"))
    elif now - newest > max_price_age:
        found.append(Problem(f"The newest price was observed {format_age(now - newest)}.", "/operator/cycles"))
    if not any(exchange.enabled for exchange in status.exchanges):
        found.append(Problem("No exchange is enabled.", "/operator/exchanges"))
    found += [Problem(text, "/operator/exchanges") for text in _describe_exchanges(status.exchanges, now)]
    found += [Problem(text, "/operator/checks") for text in status.price_problems]
    found += [Problem(text, "/operator/outbox") for text in _describe_outbox(status, now)]
    if status.outbox.suppressed_addresses:
        number = status.outbox.suppressed_addresses
        addresses = "1 address receives" if number == 1 else f"{number:,} addresses receive"
        found.append(Problem(f"{addresses} no email after a bounce or complaint.", "/operator/suppressed"))
    if status.stale_subscriptions:
        number = sum(row.subscriptions for row in status.stale_subscriptions)
        text = f"{format_count(number, 'subscription')} can't fire: their instruments have had no price for a day."
        found.append(Problem(text, "/operator/rules"))
    if open_gaps:
        found.append(Problem(f"{format_count(open_gaps, 'gap')} in the last 7 days can be repaired.", "/operator/gaps"))
    found += [
        Problem(f"API key {key.id} ({key.name}) expires {format_timestamp(key.expires_at)}.", "/operator/api-keys")
        for key in keys
        if key.state(now) == "active" and key.expires_at is not None and key.expires_at < now + KEY_EXPIRES_SOON
    ]
    return found


def _describe_exchanges(exchanges: list[ExchangeHealth], now: datetime) -> list[str]:
    found = []
    for exchange in exchanges:
        if not exchange.enabled:
            continue
        if exchange.blocked_until is not None and exchange.blocked_until > now:
            found.append(f"{exchange.name} is rate limited until {format_timestamp(exchange.blocked_until)}.")
        elif exchange.failures:
            found.append(
                f"{exchange.name} failed {format_count(exchange.failures, 'time')} in a row: {exchange.last_error}"
            )
    return found


def _describe_outbox(status: Status, now: datetime) -> list[str]:
    outbox, found = status.outbox, []
    if outbox.oldest_queued_at is not None and now - outbox.oldest_queued_at > OUTBOX_DELAY:
        reason = f" Most common error: {outbox.most_common_error}" if outbox.most_common_error else ""
        oldest = format_age(now - outbox.oldest_queued_at)
        found.append(f"{format_count(outbox.queued, 'email')} wait, the oldest queued {oldest}.{reason}")
    if outbox.failed_24h:
        reason = f" Most common error: {outbox.most_common_failure}" if outbox.most_common_failure else ""
        found.append(f"{format_count(outbox.failed_24h, 'email')} failed within 24 hours.{reason}")
    return found
