"""Restores names that graphite-web 1.1.10 and django-tagging 0.5 import and that newer Python and Django removed.

``install()`` must run before Django starts. graphite-web is in maintenance mode and supports Django < 4; only names
that it uses are restored. ``imp`` (removed in Python 3.12) and ``cgi`` (3.13) come from PyPI, see pyproject.toml.
"""

# mypy: disable-error-code="import-untyped,import-not-found"

import configparser
import inspect
import sys
import types
from collections.abc import Callable
from typing import Any, NamedTuple


def install() -> None:
    """Patch ``inspect``, ``configparser``, Django and, without libcairo, ``cairocffi``. Idempotent."""
    _restore_argspec()
    _add_missing(configparser, SafeConfigParser=configparser.ConfigParser)  # removed in Python 3.12
    _restore_django_names()
    _replace_missing_cairo()


class ArgSpec(NamedTuple):
    """What ``inspect.getargspec`` returned until Python 3.10."""

    args: list[str]
    varargs: str | None
    keywords: str | None
    defaults: tuple[Any, ...] | None


def _restore_argspec() -> None:
    def getargspec(function: Callable[..., Any]) -> ArgSpec:
        return ArgSpec(*inspect.getfullargspec(function)[:4])

    def formatargspec(
        args: list[str],
        varargs: str | None = None,
        varkw: str | None = None,
        defaults: tuple[Any, ...] | None = None,
    ) -> str:
        first_default = len(args) - len(defaults or ())
        parts = [
            name if position < first_default else f"{name}={(defaults or ())[position - first_default]!r}"
            for position, name in enumerate(args)
        ]
        parts += [f"*{varargs}"] if varargs else []
        parts += [f"**{varkw}"] if varkw else []
        return f"({', '.join(parts)})"

    _add_missing(inspect, getargspec=getargspec, formatargspec=formatargspec)


def _restore_django_names() -> None:
    import django.conf.urls
    import django.urls
    import django.utils.encoding
    import django.utils.translation

    encoding = django.utils.encoding
    translation = django.utils.translation
    _add_missing(encoding, smart_text=encoding.smart_str, force_text=encoding.force_str)
    _add_missing(translation, ugettext=translation.gettext, ugettext_lazy=translation.gettext_lazy)
    _add_missing(django.conf.urls, url=django.urls.re_path)


def _replace_missing_cairo() -> None:
    """Only charts as images need libcairo; coinwatch reads JSON."""
    try:
        import cairocffi  # noqa: F401
    except (ImportError, OSError):
        sys.modules["cairocffi"] = _NoCairo("cairocffi")


class MissingCairo(Exception):
    """A chart cannot be drawn; the text names the package to install."""

    def __init__(self) -> None:
        super().__init__("Charts need libcairo (Debian, Ubuntu: apt install libcairo2); then restart the stack.")


class _NoCairo(types.ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name.isupper() or "_" in name:
            return name  # constants used at module level in graphite
        raise MissingCairo


class ExplainMissingCairo:
    """Django middleware: instead of a chart, responds with one line, as an image if the browser wants one."""

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        self._get_response = get_response

    def __call__(self, request: Any) -> Any:
        return self._get_response(request)

    def process_exception(self, request: Any, exception: Exception) -> Any:
        from django.http import HttpResponse

        if not isinstance(exception, MissingCairo):
            return None
        if "image/" not in request.headers.get("Accept", ""):
            return HttpResponse(f"{exception}\n", status=501, content_type="text/plain; charset=utf-8")
        image = (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="640" height="40" font-family="sans-serif" font-size="13">'
            f'<rect width="640" height="40" fill="#fff"/><text x="10" y="25">{exception}</text></svg>'
        )
        return HttpResponse(image, status=501, content_type="image/svg+xml")


def skip_carbonlink() -> None:
    """Read whisper files only: without a host, graphite-web logs a traceback for each metric. After Django starts."""
    from graphite.readers import utils

    utils.CarbonLink = _NoCarbonLink


class _NoCarbonLink:
    def query(self, metric: str) -> list[tuple[int, float]]:
        return []


def _add_missing(module: types.ModuleType, **names: Any) -> None:
    for name, value in names.items():
        if not hasattr(module, name):
            setattr(module, name, value)
