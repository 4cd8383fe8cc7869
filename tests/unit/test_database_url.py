"""Database URLs: what is wrong with one, without repeating it."""

import pytest

from coinwatch.database import create_engine, parse_database_url
from coinwatch.errors import ConfigurationError
from coinwatch.migrations import setup_database

VALID = "postgresql://someone:password@127.0.0.1:5432/coinwatch"
INVALID = [
    "hush",
    "postgresql://someone:hush",
    "postgresql://someone:pass@hush@127.0.0.1:5432/coinwatch",
    "postgresql://someone:hush@127.0.0.1:hush/coinwatch",
    "mysql://someone:hush@127.0.0.1/coinwatch",
    "hush://someone@127.0.0.1/coinwatch",
]


@pytest.mark.parametrize("url", INVALID)
def test_invalid_database_url_is_an_error_that_does_not_contain_it(url: str) -> None:
    for parse in (
        lambda: create_engine(url),
        lambda: setup_database(url, VALID, VALID, VALID),
        lambda: setup_database(VALID, url, VALID, VALID),
    ):
        with pytest.raises(ConfigurationError) as caught:
            parse()
        assert "hush" not in str(caught.value)
        assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "url",
    [
        VALID,
        "postgres://someone@[::1]/coinwatch",
        "postgresql://a:%40%2F%3A@host/coinwatch",
        "postgresql://a:b/c@host/coinwatch",
    ],
)
def test_valid_database_urls_are_accepted(url: str) -> None:
    assert parse_database_url(url).database == "coinwatch"
