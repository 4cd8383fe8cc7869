"""The pages in a real browser: desktop and phone, with and without JavaScript, light and dark."""

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from playwright.sync_api import Browser, expect

from coinwatch.alerts.rules import Rule
from coinwatch.alerts.subscriptions import list_subscriptions
from coinwatch.mail.links import confirmation_link, unsubscribe_link
from coinwatch.settings import Settings
from tests.support.subscriptions import subscribe
from tests.web.browsing import DESKTOP, PHONE, fill_in_form, is_wider_than_screen, low_contrasts, opened
from tests.web.subscribing import link_key

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_subscribe_confirm_and_unsubscribe(
    browser: Browser, site: str, engine: sa.Engine, settings: Settings, viewport: dict[str, int]
) -> None:
    with opened(browser, f"{site}/subscribe", viewport=viewport) as page:
        fill_in_form(page)
        expect(page.get_by_role("heading", name="Check your email")).to_be_visible()
        [created] = list_subscriptions(engine)
        assert (created.exchange, created.direction, created.threshold, created.status) == (
            "kraken",
            "down",
            2.5,
            "pending",
        )

        page.goto(confirmation_link(settings, link_key(engine, created), created.id).replace(settings.public_url, site))
        page.get_by_role("button", name="Confirm").click()
        expect(page.get_by_role("heading", name="Alert confirmed")).to_be_visible()
        assert list_subscriptions(engine)[0].status == "active"

        page.goto(
            unsubscribe_link(settings, link_key(engine, created), [created.id]).replace(settings.public_url, site)
        )
        page.get_by_role("button", name="End alert").click()
        expect(page.get_by_role("heading", name="Alert ended")).to_be_visible()
        assert list_subscriptions(engine)[0].status == "unsubscribed"


def test_pages_work_without_javascript(browser: Browser, site: str, engine: sa.Engine) -> None:
    with opened(browser, site, java_script_enabled=False) as page:
        page.get_by_role("link", name="Bitcoin BTC").click()
        expect(page.locator("#chart path.rising")).to_be_visible()
        page.get_by_label("Exchange", exact=True).select_option("kraken:USD")
        page.get_by_role("button", name="Show").click()
        expect(page.get_by_label("Exchange", exact=True)).to_have_value("kraken:USD")
        page.get_by_role("link", name="1 hour").click()
        expect(page.get_by_role("group", name="Time range").locator("[aria-current]")).to_have_text("1h")
        page.get_by_role("link", name="New alert").click()
        fill_in_form(page, percent="a lot")
        expect(page.locator("#threshold_percent-error")).to_contain_text("not a number")
        fill_in_form(page)
        expect(page.get_by_role("heading", name="Check your email")).to_be_visible()
        assert len(list_subscriptions(engine)) == 1


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_the_screen_with_sufficient_contrast(
    browser: Browser, site: str, engine: sa.Engine, settings: Settings, viewport: dict[str, int], scheme: str
) -> None:
    created = subscribe(
        engine, email="ada@example.org", coin="BTC", rule=Rule(threshold=2), now=datetime.now(UTC), confirmed=False
    )
    key = link_key(engine, created)
    links = [confirmation_link(settings, key, created.id), unsubscribe_link(settings, key, [created.id])]
    paths = ["/", "/coins/BTC?exchange=coinbase", "/coins/BTC?exchange=kraken:EUR"]
    paths += ["/subscribe", "/docs", "/nothing", f"/coins/{'x' * 300}"]
    paths += [link.removeprefix(settings.public_url) for link in links]
    with opened(browser, site, viewport=viewport, color_scheme=scheme) as page:
        for path in paths:
            page.goto(site + path)
            assert not is_wider_than_screen(page), path
            assert low_contrasts(page) == [], path
