"""Generated documentation: up to date with the code, and complete."""

import pytest

from coinwatch import gauges
from coinwatch.settings import Settings
from docs import generate


@pytest.mark.parametrize("name", generate.GENERATORS)
def test_page_is_up_to_date(name: str) -> None:
    assert generate.page(name) == (generate.FOLDER / name).read_text(encoding="utf-8"), "run: python -m docs.generate"


def test_every_setting_is_listed() -> None:
    text = generate.settings_reference()
    assert [name for name in Settings.model_fields if f"`COINWATCH_{name.upper()}`" not in text] == [
        "coins",
        "exchanges",
    ]


def test_every_gauge_is_listed() -> None:
    text = generate.gauge_reference()
    assert [name for name in gauges.NAMES if f"`coinwatch.{name}`" not in text] == []


def test_every_command_and_option_has_a_description() -> None:
    for line in generate.cli_reference().splitlines():
        assert not line.endswith("|  |"), line


def test_check_fails_for_an_outdated_page(monkeypatch: pytest.MonkeyPatch) -> None:
    assert generate.main(["--check"]) == 0
    monkeypatch.setitem(gauges.NAMES, "new", "A new gauge")
    assert generate.main(["--check"]) == 1
