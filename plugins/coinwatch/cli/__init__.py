"""The command line. Each command calls one function of the library."""

from coinwatch.cli.main import main

__all__ = ["main"]
