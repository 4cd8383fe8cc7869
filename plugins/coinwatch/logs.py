"""Structured log lines: readable on a terminal, JSON everywhere else."""

import logging
import os
import sys

import structlog


def configure_logs() -> None:
    """Send our log lines to standard error; COINWATCH_LOG_LEVEL (default INFO) says from which level on."""
    level = logging.getLevelNamesMapping().get(os.environ.get("COINWATCH_LOG_LEVEL", "INFO").upper(), logging.INFO)
    terminal = sys.stderr.isatty()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.dev.ConsoleRenderer() if terminal else structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
    )
