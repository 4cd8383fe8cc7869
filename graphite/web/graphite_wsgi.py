"""graphite-web as a WSGI application for Python 3.11 to 3.13 and Django 5.2.

``graphite.wsgi`` crashes if WhiteNoise is installed. ``python graphite_wsgi.py`` prepares the storage (folders, tables)
and exits; gunicorn serves ``graphite_wsgi:application``.
"""

# mypy: disable-error-code="import-untyped,import-not-found"

import os
import sys
from pathlib import Path
from typing import Any

import graphite_compatibility

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "graphite.settings")
os.environ.setdefault("GRAPHITE_SETTINGS_MODULE", "graphite_settings")


def prepare_storage() -> None:
    """Create the folders and SQLite tables of graphite-web, unless they exist."""
    storage = Path(os.environ["GRAPHITE_STORAGE_DIR"])
    for name in ("whisper", "log", "conf"):
        (storage / name).mkdir(parents=True, exist_ok=True)
    _start_django()
    from django.core.management import call_command

    call_command("migrate", run_syncdb=True, interactive=False, verbosity=0)


def make_application() -> Any:
    """The WSGI application, with static files served by WhiteNoise."""
    _start_django()
    from django.conf import settings
    from django.core.wsgi import get_wsgi_application
    from whitenoise import WhiteNoise

    # Last, so that it sees exceptions before the middleware that logs them.
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "graphite_compatibility.ExplainMissingCairo"]
    graphite_compatibility.skip_carbonlink()

    return WhiteNoise(get_wsgi_application(), root=_static_folder(), prefix="static/")


def _static_folder() -> str | None:
    """The wheel installs static files outside the site-packages folder."""
    folder = Path(sys.prefix) / "webapp" / "content"
    return str(folder) if folder.is_dir() else None


def _start_django() -> None:
    graphite_compatibility.install()
    import django

    django.setup()


if __name__ == "__main__":
    prepare_storage()
else:
    application = make_application()
