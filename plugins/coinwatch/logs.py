"""Structured logs on standard error: readable on a terminal, JSON lines otherwise."""

import logging
import os
import re
import sys

import structlog

EMAIL_ADDRESS = re.compile(r"""[^\s<>()"',:;]+@[^\s<>()"',:;]+""")

# Without format_exc_info, a JSON line says "exc_info": true instead of the traceback.
JSON_LINES = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]


def without_addresses(text: str) -> str:
    """Return the text with email addresses replaced by "…": a mail server's reply often contains the recipient's."""
    return EMAIL_ADDRESS.sub("…", text)


def configure_logs() -> None:
    """Configure structlog. COINWATCH_LOG_LEVEL is the minimum level (default: INFO)."""
    level = logging.getLevelNamesMapping().get(os.environ.get("COINWATCH_LOG_LEVEL", "INFO").upper(), logging.INFO)
    terminal = sys.stderr.isatty()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *([structlog.dev.ConsoleRenderer()] if terminal else JSON_LINES),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
    )
