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
    environment.globals.update(assets=_assets_version())
    return environment


def _assets_version() -> str:
    """A version that changes with any static file, so that browsers can cache the files for a day."""
    newest = max((path.stat().st_mtime_ns for path in STATIC.rglob("*") if path.is_file()), default=0)
    return f"{newest:x}"
