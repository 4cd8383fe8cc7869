"""The command line: every command is one call of the library."""

from coinwatch.cli.main import main

__all__ = ["main"]
