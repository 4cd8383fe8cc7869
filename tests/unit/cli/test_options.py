"""One set of options for all commands, and the same rule from the form, the API and the command line."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.core import TyperGroup

import coinwatch.cli
from coinwatch.alerts.rules import Rule
from coinwatch.cli.alerts.rule_options import DEFAULT_COOLDOWN, parse_rule
from coinwatch.cli.main import build_command
from coinwatch.cli.parsing import parse_period
from coinwatch.errors import InvalidRequest
from coinwatch.web.schemas.forms import RuleForm
from coinwatch.web.services.alert_form.form import EMPTY_RULE

RULE: dict[str, Any] = {
    "argument": None,
    "threshold": None,
    "level": None,
    "kind": None,
    "direction": "either",
    "metric": "price",
    "window": None,
    "cooldown": DEFAULT_COOLDOWN,
    "once": False,
}


def commands(group: TyperGroup, prefix: str = "coinwatch") -> Iterator[tuple[str, Any]]:
    """Every command with its full name, groups included."""
    for name, command in group.commands.items():
        yield f"{prefix} {name}", command
        if isinstance(command, TyperGroup):
            yield from commands(command, f"{prefix} {name}")


def options() -> dict[str, dict[str, Any]]:
    """The options of every command by name: {"--last": {"coinwatch history": option}}."""
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    for command, details in commands(build_command()):
        for parameter in details.params:
            for name in parameter.opts:
                if name.startswith("-"):
                    found[name][command] = parameter
    return found


def test_a_period_has_the_same_options_everywhere() -> None:
    found = options()
    assert set(found) & {"--start", "--end", "--points", "--most", "--since", "--until", "--number"} == set()
    assert found["--from"].keys() == found["--to"].keys()
    for command in ("history", "candles", "backtest"):
        assert {f"coinwatch {command}"} <= found["--last"].keys() & found["--from"].keys()
    assert len({option.help for option in found["--exchange"].values()}) <= 4


def test_an_option_is_a_flag_or_takes_a_value_in_every_command() -> None:
    for name, by_command in options().items():
        assert len({option.is_flag for option in by_command.values()}) == 1, (name, by_command.keys())


def test_every_command_takes_verbose() -> None:
    assert options()["--verbose"].keys() == {name for name, _ in commands(build_command())}


def test_everything_is_printed_through_the_output_module() -> None:
    """Only that module escapes characters that control a terminal."""
    folder = Path(coinwatch.cli.__file__).parent
    for path in folder.rglob("*.py"):
        if path.name != "output.py":
            text = path.read_text()
            assert not [call for call in ("typer.echo(", "typer.secho(", " print(") if call in text], path


def test_defaults_are_those_of_the_form_and_the_api() -> None:
    rule = parse_rule(**RULE)
    assert rule == Rule("change_over_window", 5.0, "either", "price", 3600, 3600)
    assert rule == RuleForm(threshold_percent=5.0).rule()
    assert (rule.kind, f"{rule.threshold:g}") == (EMPTY_RULE["kind"], EMPTY_RULE["threshold_percent"])
    assert (EMPTY_RULE["change_window_seconds"], EMPTY_RULE["cooldown_seconds"]) == ("3600", ""), "automatic"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"argument": 2.0, "window": "1d"}, {"kind": "change_over_window", "window_seconds": 86_400, "threshold": 2.0}),
        ({"level": 70_000.0}, {"kind": "crosses", "threshold": 70_000.0, "window_seconds": 0}),
        ({"argument": 70_000.0, "kind": "crosses"}, {"kind": "crosses", "threshold": 70_000.0}),
        ({"period": "7d", "cooldown": None}, {"kind": "new_high", "threshold": 0, "cooldown_seconds": 86_400}),
        ({"kind": "new_low", "period": "all"}, {"threshold": 0, "direction": "down", "window_seconds": 0}),
        ({"kind": "new_high", "argument": 1.0}, {"threshold": 1.0, "window_seconds": 2_592_000}),
        ({"level": 70_000.0, "ladder": 5.0}, {"kind": "crosses", "ladder_percent": 5.0}),
        ({"kind": "deviation_from_average"}, {"threshold": 5.0, "window_seconds": 300}),
        ({"threshold": 3.0, "kind": "change_since_last"}, {"threshold": 3.0, "window_seconds": 0}),
        ({"window": "300s", "cooldown": "0s"}, {"window_seconds": 300, "cooldown_seconds": 0}),
        ({"window": "300", "cooldown": "0"}, {"window_seconds": 300, "cooldown_seconds": 0}),
        ({"window": "5m", "cooldown": "2h"}, {"window_seconds": 300, "cooldown_seconds": 7200}),
    ],
)
def test_kind_follows_from_the_options_given(given: dict[str, Any], expected: dict[str, object]) -> None:
    rule = parse_rule(**RULE | given)
    assert {name: getattr(rule, name) for name in expected} == expected


@pytest.mark.parametrize(
    "given",
    [
        {"argument": 5.0, "threshold": 5.0},
        {"argument": 5.0, "level": 70_000.0},
        {"kind": "crosses"},
        {"level": 70_000.0, "kind": "change_over_window"},
        {"window": "1M"},
        {"cooldown": "soon"},
    ],
)
def test_contradictory_or_incomplete_options_are_an_error(given: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        parse_rule(**RULE | given)


def test_change_together_with_a_level_is_explained_by_the_options() -> None:
    with pytest.raises(InvalidRequest, match="either a change in percent or --level"):
        parse_rule(**RULE | {"threshold": 5.0, "level": 70_000.0})


def test_empty_period_is_explained_by_its_option() -> None:
    with pytest.raises(InvalidRequest, match="--last is '0h'"):
        parse_period("0h", None, None, datetime(2026, 3, 1, tzinfo=UTC), default=timedelta(days=1))
