"""What a corporate action changes in rules: levels, and the values that the next ones are compared with."""

from collections.abc import Iterable
from dataclasses import asdict

from sqlalchemy import Connection

from coinwatch.database import statement
from coinwatch.prices.corporate_actions import AppliedAction


def apply_to_rules(connection: Connection, actions: Iterable[AppliedAction]) -> None:
    """Restate levels, steps and watermarks after a redenomination; move rules to the new coin of a reused ticker."""
    for action in actions:
        if action.old_per_new is None:
            names = ["alerts/corporate_actions/move_subscriptions", "alerts/corporate_actions/move_watermarks"]
        else:
            names = [
                "alerts/corporate_actions/restate_levels",
                "alerts/corporate_actions/restate_steps",
                "alerts/corporate_actions/restate_watermarks",
            ]
        for name in (*names, "alerts/corporate_actions/delete_extremes"):
            connection.execute(statement(name), {**asdict(action), "ratio": action.old_per_new})
