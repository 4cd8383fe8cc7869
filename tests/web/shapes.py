"""Comparing the structure of JSON documents."""

from typing import Any


def shape(value: Any) -> Any:
    """The structure of a JSON document: names and types, of a list the first element's; times by their format."""
    if isinstance(value, dict):
        return {name: shape(item) for name, item in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    if isinstance(value, str) and value[:2] == "20":
        return "time Z" if value.endswith("Z") else "time"
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__
