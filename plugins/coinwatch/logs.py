"""Structured logs on standard error: readable on a terminal, JSON lines otherwise."""

import logging
import os
import re
import sys

import structlog
from structlog.typing import EventDict, WrappedLogger

from coinwatch.formatting import escape_control_characters

EMAIL_ADDRESS = re.compile(r"""[^\s<>()"',:;]+@[^\s<>()"',:;]+""")
SILENT = logging.CRITICAL  # nothing is logged as critical


def without_addresses(text: str) -> str:
    """Return the text with email addresses replaced by "…": a mail server's reply often contains the recipient's."""
    return EMAIL_ADDRESS.sub("…", text)


def configure_logs(*, enabled: bool = True) -> None:
    """Configure structlog. COINWATCH_LOG_LEVEL is the minimum level (default: INFO).

    Unless ``enabled``, nothing is logged: a command's messages and exit code say all that its user needs to know.
    """
    level = logging.getLevelNamesMapping().get(os.environ.get("COINWATCH_LOG_LEVEL", "INFO").upper(), logging.INFO)
    terminal = sys.stderr.isatty()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            # Without it, a JSON line says "exc_info": true instead of the traceback.
            structlog.processors.format_exc_info,
            escape_values,
            structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
            if terminal
            else structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level if enabled else SILENT),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
    )


def escape_values(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """A processor that escapes control characters in names and values: each event is one line, and only text.

    A traceback keeps its line breaks.
    """
    return {
        escape_control_characters(name): escape_control_characters(value, newlines=name == "exception")
        if isinstance(value, str)
        else value
        for name, value in event.items()
    }
