"""A subscriber's whole life in a real browser, by the links of real mails; the own page for every screen and hand."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from playwright.sync_api import Browser, Page, expect

from coinwatch.alerts import subscription_changes as changes
from coinwatch.alerts.rules import Rule
from coinwatch.alerts.subscriptions import list_subscriptions
from coinwatch.alerts.users import find_user_id
from coinwatch.mail.delivery import deliver_emails
from coinwatch.mail.links import manage_link
from coinwatch.notifications.preferences import Preferences, set_preferences
from coinwatch.notifications.subscribers import get_subscriber
from coinwatch.pipeline import store_alerts
from coinwatch.settings import Settings
from tests.support.smtp_server import Mailbox, smtp_server
from tests.support.subscriptions import subscribe
from tests.web.browsing import CONTRASTS, DESKTOP, PHONE, opened
from tests.web.seed import INSERT, REMEMBER_LATEST, web_settings

pytestmark = pytest.mark.browser

ADA = "ada@example.org"
FIRED = sa.text("""
  INSERT INTO alerts (subscription_id, observed_at, price, reference, change_percent, late, state, created_at)
  SELECT :id, CAST(:newest AS timestamptz) - make_interval(mins => step), 43210.5 + step, 43000, 1.5 - step, step = 2,
         CASE step WHEN 1 THEN 'held' ELSE 'notified' END, :newest
  FROM generate_series(1, :count) step ORDER BY step DESC
""")
# Marks what has the focus, and whether that can be seen; false once the focus has left the page's content.
MARK = """() => {
  const at = document.activeElement;
  if (!at.closest("main")) return false;
  at.dataset.reached = getComputedStyle(at).outlineStyle;
  return true;
}"""
MISSED = """() => [...document.querySelectorAll("main :is(a[href], button, input, select, summary)")]
  .filter((control) => control.checkVisibility() && control.dataset.reached !== "solid")
  .map((control) => control.textContent.trim() || control.name)"""


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with smtp_server() as mailbox:
        yield mailbox


def newest_mail(engine: sa.Engine, mailbox: Mailbox) -> str:
    """Deliver what waits; the text of the newest mail that came of it."""
    before = len(mailbox.messages)
    deliver_emails(engine, web_settings(smtp_url=mailbox.url))
    assert len(mailbox.messages) > before
    body = mailbox.messages[-1].get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def follow(page: Page, site: str, settings: Settings, mail: str, kind: str) -> None:
    """Open the link of this kind in a mail, on the app under test."""
    [link] = set(re.findall(rf"{re.escape(settings.public_url)}/{kind}/\S+", mail))
    page.goto(link.replace(settings.public_url, site))


def quote(engine: sa.Engine, price: float) -> None:
    now = datetime.now(UTC)
    with engine.begin() as connection:
        values = {"exchange": "coinbase", "base": "BTC", "observed_at": now, "price": price}
        connection.execute(INSERT, values | {"volume": None, "bid": None, "ask": None})
        connection.execute(REMEMBER_LATEST)
    store_alerts(engine, now)


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_a_subscribers_whole_life(
    browser: Browser,
    site: str,
    engine: sa.Engine,
    settings: Settings,
    mailbox: Mailbox,
    tmp_path: Path,
    viewport: dict[str, int],
) -> None:
    with opened(browser, f"{site}/subscribe", viewport=viewport, java_script_enabled=False) as page:
        page.get_by_label("Coin", exact=True).select_option("BTC")
        page.get_by_label("Price at").select_option("coinbase")
        page.get_by_label("crosses a level").check()
        page.get_by_role("textbox", name="Level").fill("50,000")
        page.get_by_label("Then be quiet for").select_option("0")
        page.get_by_label("Mail to").fill(ADA)
        page.get_by_role("button", name="Create alert").click()
        expect(page.get_by_role("heading", name="Check your mail")).to_be_visible()

        follow(page, site, settings, newest_mail(engine, mailbox), "confirm")
        page.get_by_role("button", name="Confirm").click()
        page.get_by_role("link", name="Your alerts").click()
        expect(page.get_by_role("article")).to_contain_text("crosses 50,000 USD")
        expect(page.get_by_role("article")).to_contain_text("No alert yet")

        quote(engine, 50_001)
        follow(page, site, settings, newest_mail(engine, mailbox), "manage")
        expect(page.locator("#history")).to_contain_text("50,001.00 USD")
        expect(page.locator("#history")).to_contain_text("the price crosses 50,000 USD")
        card = page.get_by_role("article")
        expect(card).to_contain_text("1 alert, the last")

        card.get_by_role("link", name="Edit").click()
        expect(page.get_by_role("textbox", name="Level")).to_have_value("50000")
        page.get_by_role("textbox", name="Level").fill("60000 or so")
        page.get_by_role("button", name="Save").click()
        expect(page.locator("#level-problem")).to_contain_text("is not a number")
        page.get_by_role("textbox", name="Level").fill("60.000")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_role("status")).to_contain_text("The alert is changed")
        expect(card).to_contain_text("crosses 60,000 USD")

        card.get_by_role("button", name="Pause").click()
        expect(card).to_contain_text("Paused")
        quote(engine, 60_001)
        card.get_by_role("button", name="Resume").click()
        expect(card).to_contain_text("Active")
        card.locator("summary", has_text="Snooze").click()
        card.get_by_role("button", name="8 hours").click()
        expect(card).to_contain_text("Asleep until")
        quote(engine, 59_000)
        expect(card).to_contain_text("1 alert, the last")
        card.get_by_role("button", name="Wake").click()
        quote(engine, 60_500)
        page.reload()
        expect(card).to_contain_text("2 alerts, the last")

        page.get_by_label("Your time zone").fill("Asia/Tokyo")
        page.get_by_label("Quiet from").fill("22:00")
        page.get_by_label("until").fill("07:00")
        page.get_by_label("Mails").select_option("daily")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_role("status")).to_contain_text("Your wishes are saved")
        expect(page.locator("footer")).to_contain_text("Asia/Tokyo")
        [own] = get_subscriber(engine, find_user_id(engine, ADA) or 0).subscriptions
        assert own.last_alert_at is not None
        expect(page.locator("#history")).to_contain_text(f"{own.last_alert_at + timedelta(hours=9):%H:%M}")

        with page.expect_download() as download:
            page.get_by_role("link", name="Download all of it").click()
        download.value.save_as(tmp_path / "mine.json")
        mine = json.loads((tmp_path / "mine.json").read_text())
        assert (mine["email"], mine["digest"], len(mine["subscriptions"][0]["alerts"])) == (ADA, "daily", 2)

        card.locator("summary", has_text="Delete").click()
        card.get_by_role("button", name="Delete it").click()
        expect(page.get_by_role("heading", name="No alerts yet")).to_be_visible()
        assert list_subscriptions(engine) == []

        own_page = page.url
        page.get_by_role("link", name="Erase everything").click()
        page.get_by_role("button", name="Erase everything").click()
        expect(page.get_by_role("heading", name="Everything is erased")).to_be_visible()
        assert find_user_id(engine, ADA) is None
        page.goto(own_page)
        expect(page.get_by_role("alert")).to_contain_text("has been erased")
    with engine.connect() as connection:
        for table in ("users", "subscriptions", "alerts", "outbox", "held_users"):
            assert connection.execute(sa.text(f"SELECT count(*) FROM {table}")).scalar_one() == 0, table


def test_a_lost_link_is_mailed_again(
    browser: Browser, site: str, engine: sa.Engine, settings: Settings, mailbox: Mailbox
) -> None:
    lively(engine)
    with opened(browser, f"{site}/manage/an-old-one") as page:
        expect(page.get_by_role("alert")).to_contain_text("This link does not work")
        page.get_by_label("Your address").fill(ADA)
        page.get_by_role("button", name="Mail me the link").click()
        expect(page.get_by_role("status")).to_contain_text("is on its way")
        follow(page, site, settings, newest_mail(engine, mailbox), "manage")
        expect(page.get_by_role("heading", name="Your alerts")).to_be_visible()


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_of_a_person_fits_its_screen_and_can_be_read(
    browser: Browser, site: str, engine: sa.Engine, settings: Settings, viewport: dict[str, int], scheme: str
) -> None:
    own = lively(engine)
    pages = {ADA: ["", "?done=saved", "/history", "/erase", *(f"/alerts/{number}" for number in own)]}
    long = "somebody.with.a.rather.long.name@mail.of.a.subdomain.example.org"
    subscribe(engine, email=long, coin="BTC", rule=Rule(threshold=5.0), now=datetime.now(UTC), confirmed=True)
    refuse = sa.text("UPDATE users SET suppressed_at = :now, suppression_reason = :why WHERE email = :long")
    with engine.begin() as connection:
        connection.execute(refuse, {"now": datetime.now(UTC), "why": f"550 5.1.1 <{long}>: no such user", "long": long})
    pages[long] = [""]
    with opened(browser, site, viewport=viewport, color_scheme=scheme) as page:
        for email, tails in pages.items():
            link = manage_link(settings, find_user_id(engine, email) or 0).replace(settings.public_url, site)
            for path in [link + tail for tail in tails] + [f"{site}/manage", f"{site}/manage/x"]:
                page.goto(path)
                for summary in page.locator("summary").all():
                    summary.click()
                assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"], path
                texts = page.evaluate(CONTRASTS)
                assert len(texts) > 5
                assert [text for text in texts if text[0] < 4.5] == [], path


def test_the_own_page_is_worked_by_the_keyboard_alone(
    browser: Browser, site: str, engine: sa.Engine, settings: Settings
) -> None:
    lively(engine)
    link = manage_link(settings, find_user_id(engine, ADA) or 0).replace(settings.public_url, site)
    with opened(browser, link) as page:
        page.locator("nav a").last.focus()
        page.keyboard.press("Tab")
        while page.evaluate(MARK):
            page.keyboard.press("Tab")
        assert page.evaluate(MISSED) == []
        page.locator("summary", has_text="Snooze").first.focus()
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        expect(page.locator(":focus")).to_have_text("1 hour")
        page.keyboard.press("Enter")
        expect(page.get_by_role("status")).to_contain_text("sleeps")
        expect(page.locator("article").first).to_contain_text("Asleep until")


def test_the_zone_of_the_readers_device_is_offered_until_it_is_used(
    browser: Browser, site: str, engine: sa.Engine, settings: Settings
) -> None:
    lively(engine)
    link = manage_link(settings, find_user_id(engine, ADA) or 0).replace(settings.public_url, site)
    with opened(browser, link, timezone_id="Asia/Tokyo") as page:
        page.get_by_role("button", name="Asia/Tokyo").click()
        page.get_by_role("button", name="Save").click()
        expect(page.locator("footer")).to_contain_text("Asia/Tokyo")
        expect(page.locator("#zone-here")).to_be_hidden()


def test_what_each_button_is_for_is_heard_too(
    browser: Browser, site: str, engine: sa.Engine, settings: Settings
) -> None:
    lively(engine)
    link = manage_link(settings, find_user_id(engine, ADA) or 0).replace(settings.public_url, site)
    with opened(browser, link) as page:
        name = "Pause the alert for Bitcoin: the price moves by 5% or more within 1 hour"
        expect(page.get_by_role("button", name=name)).to_have_count(1)
        for field in ("Your time zone", "Quiet from", "until", "Mails"):
            expect(page.get_by_label(field)).to_be_visible()


def lively(engine: sa.Engine) -> list[int]:
    """A person with an alert in every state, and some that fired; the alerts' numbers."""
    now = datetime.now(UTC)

    def add(coin: str, *, confirmed: bool = True, **rule: object) -> int:
        wanted = Rule(**({"threshold": 5.0} | rule))  # type: ignore[arg-type]
        return subscribe(engine, email=ADA, coin=coin, rule=wanted, now=now, confirmed=confirmed).id

    first = add("BTC", kind="change_over_window", window_seconds=3600, cooldown_seconds=3600)
    level = add("ETH", kind="crosses", threshold=2500.0, direction="up", repeat=False)
    mean = add("SOL", kind="deviation_from_average", window_seconds=300, expires_at=now + timedelta(days=9))
    waiting = add("XRP", metric="volume_24h", threshold=50.0, confirmed=False)
    over = add("DOGE")
    person = find_user_id(engine, ADA) or 0
    with engine.begin() as connection:
        connection.execute(FIRED, {"id": first, "newest": now, "count": 12})
        connection.execute(sa.text("UPDATE subscriptions SET status = 'ended' WHERE id = :id"), {"id": over})
    changes.pause(engine, person, level)
    changes.snooze(engine, person, mean, now + timedelta(hours=8), now)
    set_preferences(engine, person, Preferences("Europe/Berlin"), now)
    return [first, level, mean, waiting, over]
