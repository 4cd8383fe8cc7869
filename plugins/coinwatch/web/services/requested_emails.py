"""Sends the emails that a visitor just requested, after the response."""

from threading import BoundedSemaphore

import structlog

from coinwatch.errors import CoinwatchError
from coinwatch.logs import without_addresses
from coinwatch.mail.delivery import deliver_requested_emails
from coinwatch.notifications.channels import deliver_to_channels
from coinwatch.notifications.requested_emails import request_manage_link
from coinwatch.web.dependencies import Site

# A slow mail server must not occupy the threads that serve pages.
SLOTS = BoundedSemaphore(4)
CHANNEL_SLOT = BoundedSemaphore(1)

log = structlog.get_logger()


def send_requested_emails(site: Site, address: str) -> None:
    """Send the queued confirmations and links of an address. What can't be sent now is sent by the next cycle."""
    if not SLOTS.acquire(blocking=False):
        return
    try:
        deliver_requested_emails(site.engine, site.settings, address, clock=site.clock)
    except CoinwatchError as error:
        log.warning("requested emails not sent at once", error=without_addresses(str(error)))
    finally:
        SLOTS.release()


def send_manage_link(site: Site, address: str) -> None:
    """Queue the email with the link to the subscriber's own page, if the address is known, and send it."""
    request_manage_link(site.engine, address, site.clock())
    send_requested_emails(site, address)


def send_test(site: Site, address: str) -> None:
    """Send a queued test notification on all channels. What can't be sent now is sent by the next cycle."""
    send_requested_emails(site, address)
    if not CHANNEL_SLOT.acquire(blocking=False):
        return
    try:
        deliver_to_channels(site.engine, site.settings, clock=site.clock)
    except CoinwatchError as error:
        log.warning("test notification not sent at once", error=without_addresses(str(error)))
    finally:
        CHANNEL_SLOT.release()
