"""Checks that the `coinwatch` commands mentioned in texts exist."""

import re

import typer
from typer.core import TyperGroup

from coinwatch.cli.main import app

MENTION = re.compile(r"\bcoinwatch((?:\s+[a-z][a-z-]*)+)")


def unknown_commands(text: str) -> list[str]:
    """The commands in a text, such as ``coinwatch outbox retry``, that do not exist.

    Words after a complete command are arguments or prose.
    """
    return [f"coinwatch{found[1]}" for found in MENTION.finditer(text) if not _exists(found[1].split())]


def _exists(words: list[str]) -> bool:
    root = typer.main.get_command(app)
    command = root
    for word in words:
        if not isinstance(command, TyperGroup):
            break
        if word not in command.commands:
            return command is not root and command.invoke_without_command
        command = command.commands[word]
    return True
