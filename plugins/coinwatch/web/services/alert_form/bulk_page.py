"""The page that creates several alerts from a CSV file."""

from collections.abc import Mapping
from dataclasses import dataclass

from fastapi import Request, Response

from coinwatch.alerts.distance import measure_distances
from coinwatch.alerts.distance_summary import summarize_distance
from coinwatch.alerts.rules import describe
from coinwatch.database import transaction
from coinwatch.web.dependencies import Site
from coinwatch.web.services.alert_form.csv_file import COLUMNS, MAX_ALERTS, AlertList, ListedAlert
from coinwatch.web.sessions import signed_in_session


@dataclass(frozen=True, slots=True)
class BulkForm:
    """The submitted values. ``action`` is ``create``, or anything else to check the text only."""

    text: str = ""
    email: str = ""
    timezone: str = ""
    action: str = ""


@dataclass(frozen=True, slots=True)
class CheckedAlert:
    """One line of the file in words: the condition, and how far the current value is from it."""

    line: int
    instrument: str
    condition: str
    distance: str


@dataclass(frozen=True, slots=True)
class BulkPage:
    """The page, for one request."""

    site: Site
    request: Request

    def show(
        self,
        form: BulkForm,
        listed: AlertList | None = None,
        errors: Mapping[str, str] | None = None,
        *,
        status: int = 200,
    ) -> Response:
        """Render the page with the alerts or the errors of the file, and ``errors`` by field."""
        session = signed_in_session(self.request)
        values = {
            "form": form,
            "alerts": self._checked(listed.alerts) if listed and not listed.errors else [],
            "line_errors": listed.errors if listed else [],
            "errors": errors or {},
            "columns": COLUMNS,
            "max_alerts": MAX_ALERTS,
            "own_email": session.email if session and not session.suppressed else "",
        }
        return self.site.render(self.request, "alerts/bulk.html", values, status=status)

    def _checked(self, alerts: list[ListedAlert]) -> list[CheckedAlert]:
        watched = [(each.instrument.instrument_id, each.rule) for each in alerts]
        with transaction(self.site.engine) as connection:
            distances = measure_distances(connection, watched, self.site.clock())
        return [
            CheckedAlert(
                each.line,
                each.instrument.pair
                + (" · all exchanges" if each.instrument.exchange == "index" else f" · {each.instrument.exchange}"),
                describe(each.rule, each.instrument.quote, each.instrument.base),
                summarize_distance(distance, each.rule, each.instrument.base, each.instrument.quote),
            )
            for each, distance in zip(alerts, distances, strict=True)
        ]
