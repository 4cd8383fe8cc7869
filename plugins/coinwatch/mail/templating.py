"""The templates of emails, as text and HTML."""

import textwrap
from functools import lru_cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template, select_autoescape

TEMPLATES = Path(__file__).parent / "templates"
TEXT_WIDTH = 72


@lru_cache
def template(name: str) -> Template:
    """The template in ``templates/``, such as ``alerts.txt``; ``.html`` is escaped."""
    return _environment().get_template(name)


def wrap(text: str, indent: int = 0) -> str:
    """The text in lines of up to 72 characters; a longer word, such as a link, stays whole."""
    margin = " " * indent
    return textwrap.fill(
        text,
        TEXT_WIDTH,
        initial_indent=margin,
        subsequent_indent=margin,
        break_long_words=False,
        break_on_hyphens=False,
    )


@lru_cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["wrap"] = wrap
    return environment
