"""The operator pages in a browser: accessible, on a phone, without JavaScript."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from coinwatch.access.api_keys import create_api_key
from coinwatch.alerts.rules import Rule
from coinwatch.audit import Actor
from coinwatch.database import transaction
from coinwatch.prices.catalog import list_enabled_exchanges
from coinwatch.prices.ingest.collection import CollectResult
from coinwatch.prices.ingest.cycles import record_cycle
from coinwatch.web.services.operator.rendering import SECTIONS
from tests.support.subscriptions import subscribe
from tests.web.browsing import DESKTOP, PHONE, is_wider_than_screen, opened
from tests.web.seed import TOKEN

pytestmark = pytest.mark.browser
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

STATEMENTS = """
  INSERT INTO exchange_status (exchange_id, failures, last_error, last_success_at)
  SELECT id, 3, 'timed out after 10 s while connecting to https://api.kraken.example/0/public/Ticker', now()
  FROM exchanges WHERE code = 'kraken';
  UPDATE users SET suppressed_at = now(), suppression_reason = '550 5.1.1 <grace.hopper@example.org>: unknown';
  UPDATE subscriptions SET status = 'paused', paused_by_suppression = true;
  INSERT INTO outbox
    (dedupe_key, user_id, recipient, kind, payload, status, next_attempt_at, created_at, last_error)
  SELECT status, users.id, email, 'alerts', '{}', status, now(), now(), '550 <grace.hopper@example.org>: unknown'
  FROM users, unnest(ARRAY['queued', 'failed', 'dropped']) AS s (status);
  INSERT INTO gaps (instrument_id, day, started_at, ended_at, status, reason, detected_at)
  SELECT id, current_date, now() - id * interval '1 hour', now() - id * interval '50 minutes',
         CASE WHEN id % 2 = 0 THEN 'open' ELSE 'unavailable' END,
         CASE WHEN id % 2 = 0 THEN NULL ELSE 'The exchange has no candles for this time' END, now()
  FROM instruments WHERE id < 9
"""


@pytest.fixture
def busy(site: str, engine: sa.Engine) -> str:
    """URL of an app with something on every operator page."""
    now = datetime.now(UTC)
    subscribe(
        engine, email="grace.hopper@example.org", coin="BTC", exchange="kraken", rule=Rule(threshold=5), now=now,
        confirmed=True,
    )  # fmt: skip
    with transaction(engine) as connection:
        for text in STATEMENTS.split(";\n"):
            connection.execute(sa.text(text))
    for minute in range(5):
        started = now - timedelta(minutes=3 * minute)
        record_cycle(engine, [CollectResult("coinbase", quotes=5)], 5, started, started + timedelta(seconds=2))
    create_api_key(engine, Actor("ada", "cli", now), "backup", ["subscriptions:read"], now + timedelta(days=7))
    return site


def sign_in(page: Page) -> None:
    page.get_by_label("Token or API key").fill(TOKEN)
    page.get_by_role("button", name="Sign in").click()


def violations(page: Page) -> str:
    found = Axe().run(page, options={"runOnly": RULES})
    return found.generate_report() if found.violations_count else ""


@pytest.mark.parametrize(("scheme", "viewport"), [("light", PHONE), ("dark", DESKTOP)], ids=["phone", "desktop"])
def test_pages_are_accessible_and_fit(browser: Browser, busy: str, scheme: str, viewport: dict[str, int]) -> None:
    with opened(browser, f"{busy}/operator", viewport=viewport, color_scheme=scheme) as page:
        assert violations(page) == "", "sign-in"
        sign_in(page)
        expect(page.get_by_role("heading", name="Needs attention")).to_be_visible()
        dags = [f"/dags/{name}" for name in ("collect_prices", "maintain_database", "example")]
        for path in [*(path for _, path, _ in SECTIONS), *dags]:
            page.goto(f"{busy}{path}")
            for summary in page.locator("summary").all():
                summary.click()
            assert violations(page) == "", path
            assert not is_wider_than_screen(page), path


def test_exchange_is_switched_off_after_a_confirmation_without_javascript(
    browser: Browser, busy: str, engine: sa.Engine
) -> None:
    with opened(browser, f"{busy}/operator/exchanges", viewport=PHONE, java_script_enabled=False) as page:
        sign_in(page)
        row = page.get_by_role("row").filter(has_text="kraken")
        row.locator("summary").click()
        assert "kraken" in list_enabled_exchanges(engine)
        row.get_by_role("button", name="Disable Kraken").click()
        expect(page.get_by_role("status")).to_contain_text("Disabled.")
        assert "kraken" not in list_enabled_exchanges(engine)


def test_operator_creates_a_key_and_signs_out(browser: Browser, busy: str) -> None:
    with opened(browser, f"{busy}/operator/api-keys") as page:
        sign_in(page)
        page.get_by_label("Name").fill("nightly export")
        page.get_by_label("Read fired alerts").check()
        page.get_by_role("button", name="Create key").click()
        token = page.locator(".secret").inner_text()
        response = page.request.get(f"{busy}/api/v1/prices", headers={"Authorization": f"Bearer {token}"})
        assert response.status == 200
        page.get_by_role("link", name="Done").click()
        expect(page.get_by_role("rowheader", name="nightly export")).to_be_visible()
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("heading", name="Operator sign-in")).to_be_visible()
        page.goto(f"{busy}/operator")
        expect(page.get_by_role("heading", name="Operator sign-in")).to_be_visible()
