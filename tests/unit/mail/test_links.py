"""Signed links serve only their own purpose."""

import pytest

from coinwatch.errors import ConfigurationError, InvalidRequest
from coinwatch.mail.links import confirmation_link, read_confirmation, read_unsubscribe, unsubscribe_link
from tests.support.settings import make_settings

SETTINGS = make_settings()


def test_token_is_valid_only_for_its_purpose() -> None:
    token = confirmation_link(SETTINGS, 7).rpartition("/")[2]
    assert read_confirmation(SETTINGS, token) == 7
    with pytest.raises(InvalidRequest, match="incomplete"):
        read_unsubscribe(SETTINGS, token)
    with pytest.raises(InvalidRequest):
        read_confirmation(SETTINGS, token[:-1])
    with pytest.raises(InvalidRequest):
        read_confirmation(make_settings(secret_key="another"), token)
    assert read_unsubscribe(SETTINGS, unsubscribe_link(SETTINGS, [3, 4]).rpartition("/")[2]) == [3, 4]


def test_links_need_a_secret() -> None:
    with pytest.raises(ConfigurationError, match="COINWATCH_SECRET_KEY"):
        confirmation_link(make_settings(secret_key=None), 1)
    with pytest.raises(ConfigurationError, match="example"):
        confirmation_link(make_settings(secret_key="change-me"), 1)
