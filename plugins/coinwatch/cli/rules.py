"""How a rule is written on the command line, and the command that tries one on history."""

import re
from datetime import timedelta
from typing import Annotated, Any

import typer

from coinwatch.alerts.backtest import Backtest
from coinwatch.alerts.backtest import backtest as try_rule
from coinwatch.alerts.rules import DEFAULT_WINDOW_SECONDS, Rule, describe
from coinwatch.cli.moments import duration, moment
from coinwatch.cli.output import AsJson, show_json, show_table
from coinwatch.clock import utc_now
from coinwatch.database import get_engine
from coinwatch.mail.messages import format_price

app = typer.Typer()
