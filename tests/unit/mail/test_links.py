"""Signed links serve only their own purpose, and name a person by a random key."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from coinwatch.alerts.users import LinkKey
from coinwatch.errors import ConfigurationError, InvalidRequest
from coinwatch.mail import links
from coinwatch.mail.links import (
    confirmation_link,
    manage_link,
    opens_manage_page,
    read_confirmation,
    read_manage,
    read_unsubscribe,
    unsubscribe_link,
)
from tests.support.settings import make_settings

SETTINGS = make_settings()
ADA = LinkKey(UUID(int=7), 2)


def token_of(link: str) -> str:
    return link.rpartition("/")[2]


def test_token_is_valid_only_for_its_purpose() -> None:
    token = token_of(confirmation_link(SETTINGS, ADA, 7))
    link_key, link = read_confirmation(SETTINGS, token)
    assert (link_key, link.subscription_ids) == (ADA, (7,))
    with pytest.raises(InvalidRequest, match="incomplete"):
        read_unsubscribe(SETTINGS, token)
    with pytest.raises(InvalidRequest):
        read_confirmation(SETTINGS, token[:-1])
    with pytest.raises(InvalidRequest):
        read_confirmation(make_settings(secret_key="another-key-of-this-test"), token)
    link = read_unsubscribe(SETTINGS, token_of(unsubscribe_link(SETTINGS, ADA, [3, 4])))
    assert (link.link_key, link.subscription_ids) == (ADA, (3, 4))
    assert read_manage(SETTINGS, token_of(manage_link(SETTINGS, ADA))) == ADA


def test_link_on_a_page_expires_with_the_email_that_led_there(monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime.now(UTC)
    for days, valid in ((89, True), (91, False)):
        with monkeypatch.context() as patch:
            patch.setattr(links.time, "time", lambda days=days: (now - timedelta(days=days)).timestamp())
            emailed = token_of(unsubscribe_link(SETTINGS, ADA, [1]))
        assert opens_manage_page(read_unsubscribe(SETTINGS, emailed)) is valid
    shown = token_of(manage_link(SETTINGS, ADA, now - timedelta(days=89)))
    assert read_manage(SETTINGS, shown) == ADA
    monkeypatch.setattr(links.time, "time", (now + timedelta(days=2)).timestamp)
    with pytest.raises(InvalidRequest, match="expired"):
        read_manage(SETTINGS, shown)


def test_new_link_of_a_machine_whose_clock_is_ahead_is_valid() -> None:
    now = datetime.now(UTC)
    for minutes, valid in ((4, True), (6, False)):
        token = token_of(manage_link(SETTINGS, ADA, now + timedelta(minutes=minutes)))
        if valid:
            assert read_manage(SETTINGS, token) == ADA
        else:
            with pytest.raises(InvalidRequest, match="expired"):
                read_manage(SETTINGS, token)


@pytest.mark.parametrize("appended", [".", ">", ")", "),", "!", '"', "”."])
def test_punctuation_after_a_link_is_ignored(appended: str) -> None:
    assert read_manage(SETTINGS, token_of(manage_link(SETTINGS, ADA)) + appended) == ADA
    ended = unsubscribe_link(SETTINGS, ADA, [3])
    assert read_unsubscribe(SETTINGS, token_of(ended) + appended).subscription_ids == (3,)


def test_links_need_a_secret() -> None:
    with pytest.raises(ConfigurationError, match="COINWATCH_SECRET_KEY"):
        confirmation_link(make_settings(secret_key=None), ADA, 1)
    with pytest.raises(ConfigurationError, match="example"):
        confirmation_link(make_settings(secret_key="change-me"), ADA, 1)
