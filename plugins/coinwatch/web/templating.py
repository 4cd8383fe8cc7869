"""The Jinja environment of the pages."""

from pathlib import Path

import jinja2

from coinwatch.web.formatting import FILTERS

WEB_ROOT = Path(__file__).parent
STATIC = WEB_ROOT / "static"


def create_templates() -> jinja2.Environment:
    """The templates in ``templates/`` with the filters of ``formatting.py``; all output is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(WEB_ROOT / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(FILTERS)
    return environment
