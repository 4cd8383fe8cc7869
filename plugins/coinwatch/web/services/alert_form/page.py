"""The page with the form for an alert: for creating one, and with the same fields for changing one."""

from dataclasses import dataclass

import structlog
from fastapi import Request, Response

from coinwatch.alerts.distance import measure_distance
from coinwatch.alerts.distance_summary import summarize_distance
from coinwatch.alerts.subscriptions import Subscription
from coinwatch.errors import InvalidRequest, QueryTimeout, RequestError
from coinwatch.web.dependencies import Site
from coinwatch.web.error_handlers import TIMED_OUT, TooManyRequests, status_of
from coinwatch.web.middleware.access import Visitor
from coinwatch.web.services.alert_form.form import EMPTY_FORM, Submitted, form_errors, parse_alert_form, rule_to_form
from coinwatch.web.services.alert_form.preview import Preview, build_preview, run_backtest
from coinwatch.web.services.choices import Choices, watched_choices
from coinwatch.web.sessions import signed_in_session

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class AlertFormPage:
    """The form for a new alert, or for changing ``subscription``."""

    site: Site
    request: Request
    subscription: Subscription | None = None

    def show(
        self,
        form: Submitted,
        errors: dict[str, str] | None = None,
        *,
        preview: Preview | None = None,
        status: int = 200,
    ) -> Response:
        """Render the page. Without errors or a preview, it says how far the value is from firing the alert."""
        choices = watched_choices(self.site.engine)
        session = None if self.subscription else signed_in_session(self.request)
        values = {
            "choices": choices,
            "form": form,
            "errors": errors or {},
            "preview": preview,
            "distance": "" if errors or preview else self._distance(form, choices),
            "subscription": self.subscription,
            "own_email": session.email if session and not session.suppressed else "",
        }
        return self.site.render(self.request, "alerts/form.html", values, status=status)

    def show_error(self, submitted: Submitted, error: RequestError) -> Response:
        """Render the form as submitted, with each error next to its field."""
        page = self.show(submitted, form_errors(error, submitted), status=status_of(error))
        if isinstance(error, TooManyRequests):
            page.headers["Retry-After"] = str(error.retry_after)
        return page

    def show_preview(self, submitted: Submitted, visitor: Visitor | None, client: str) -> Response:
        """Render the form as submitted, and how often the alert would have fired."""
        site, now = self.site, self.site.clock()
        try:
            instrument, rule = parse_alert_form(site.engine, submitted, now)
            tested = run_backtest(site, instrument, rule, visitor, client)
        except (InvalidRequest, TooManyRequests) as error:
            return self.show_error(submitted, error)
        except QueryTimeout as error:
            log.warning("backtest timed out", kind=submitted["kind"], coin=submitted["coin"], error=str(error))
            return self.show(submitted, {"": TIMED_OUT}, status=503)
        distance = measure_distance(site.engine, instrument.instrument_id, rule, now)
        return self.show(submitted, preview=build_preview(tested, distance))

    def _distance(self, form: Submitted, choices: Choices) -> str:
        """The distance for the values that the form shows; empty if they are not complete yet."""
        coin = form["coin"] or next(iter(choices.coins), "")
        engine, now = self.site.engine, self.site.clock()
        try:
            instrument, rule = parse_alert_form(engine, {**form, "coin": coin}, now)
        except InvalidRequest:
            return ""
        distance = measure_distance(engine, instrument.instrument_id, rule, now)
        return summarize_distance(distance, rule, instrument.base, instrument.quote)


def form_of(subscription: Subscription) -> dict[str, str]:
    """The form's values for a subscription, to change or to duplicate it."""
    exchange = "" if subscription.exchange == "index" else subscription.exchange
    instrument = {"coin": subscription.base, "exchange": exchange, "quote": subscription.quote}
    return EMPTY_FORM | instrument | rule_to_form(subscription.rule) | {"email": subscription.email}
