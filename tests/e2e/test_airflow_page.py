"""coinwatch's pages in Airflow's user interface, in a browser, on a running stack."""

import re
import uuid
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, FrameLocator, Page, expect

from tests.support.stack import Stack

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]  # the first test starts the stack


@pytest.fixture
def page(browser: Browser, stack: Stack) -> Iterator[Page]:
    """A page that is logged in to Airflow."""
    page = browser.new_page(viewport={"width": 1360, "height": 850})
    page.goto(f"{stack.airflow_url}/")
    log_in(page, stack)
    yield page
    page.close()


def log_in(page: Page, stack: Stack) -> None:
    page.locator("input[name=username]").fill(stack.admin_user)
    page.locator("input[name=password]").fill(stack.admin_password)
    page.locator("[type=submit]").click()


def coinwatch_frame(page: Page) -> FrameLocator:
    page.get_by_role("link", name="coinwatch").click()
    return page.frame_locator("iframe[title=coinwatch]")


def test_navigation_links_to_prices(page: Page) -> None:
    frame = coinwatch_frame(page)
    expect(frame.get_by_role("heading", name="Overview")).to_be_visible()
    expect(frame.get_by_role("row", name="Bitcoin")).to_contain_text("USD")
    frame.get_by_role("link", name="Bitcoin").first.click()
    expect(frame.get_by_role("heading", name="Bitcoin")).to_be_visible()
    expect(frame.locator("#chart canvas").first).to_be_visible()


def test_subscription_created_in_airflow_is_active_immediately(page: Page, stack: Stack) -> None:
    address = f"airflow-{uuid.uuid4().hex[:12]}@example.org"
    frame = coinwatch_frame(page)
    frame.get_by_role("link", name="New alert").click()
    frame.get_by_label("Coin", exact=True).select_option("BTC")
    frame.get_by_label("Change (at least, %)").fill("2.5")
    frame.get_by_label("Email").fill(address)
    frame.get_by_role("button", name="Create alert").click()
    expect(frame.get_by_role("heading", name="Alert created")).to_be_visible()
    expect(frame.get_by_text(address)).to_be_visible()

    response = page.request.get(f"{stack.airflow_url}/coinwatch/api/v1/subscriptions", params={"email": address})
    assert response.status == 200
    [subscription] = response.json()
    assert (subscription["status"], subscription["coin"], subscription["threshold_percent"]) == ("active", "BTC", 2.5)

    response = page.request.delete(
        f"{stack.airflow_url}/coinwatch/api/v1/subscriptions/{subscription['id']}",
        headers={"Origin": stack.airflow_url},
    )
    assert response.json()["status"] == "unsubscribed"


def test_invalid_input_is_kept_with_an_error_at_its_field(page: Page) -> None:
    frame = coinwatch_frame(page)
    frame.get_by_role("link", name="New alert").click()
    frame.get_by_label("Change (at least, %)").fill("a lot")
    frame.get_by_label("Email").fill("ada@example.org")
    frame.get_by_role("button", name="Create alert").click()
    expect(frame.locator("#threshold_percent-error")).to_contain_text("not a number")
    expect(frame.get_by_label("Change (at least, %)")).to_have_value("a lot")
    expect(frame.get_by_label("Email")).to_have_value("ada@example.org")


def test_visitor_logs_in_and_returns_to_the_page(browser: Browser, stack: Stack) -> None:
    page = browser.new_page()
    page.goto(f"{stack.airflow_url}/coinwatch/coins/BTC")
    expect(page).to_have_url(re.compile(r"/auth/login/\?next="))
    log_in(page, stack)
    expect(page).to_have_url(f"{stack.airflow_url}/coinwatch/coins/BTC")
    expect(page.get_by_role("heading", name="Bitcoin")).to_be_visible()
    page.close()


def test_operators_open_their_pages_in_airflow(page: Page, stack: Stack) -> None:
    frame = coinwatch_frame(page)
    frame.get_by_role("link", name="Operator").click()
    expect(frame.get_by_role("heading", name="Operator", exact=True)).to_be_visible()
    frame.get_by_role("link", name="System").click()
    expect(frame.get_by_role("rowheader", name="Airflow")).to_be_visible()
    expect(frame.get_by_role("button", name="Sign out")).to_have_count(0)
    version = frame.get_by_role("row", name="Airflow").get_by_role("cell")
    expect(version).to_have_text(re.compile(r"^3\."))


def test_tab_of_a_dag_shows_its_cycles(page: Page, stack: Stack) -> None:
    page.goto(f"{stack.airflow_url}/dags/collect_prices")
    page.get_by_role("link", name="coinwatch").last.click()
    expect(page).to_have_url(re.compile(r"/dags/collect_prices/plugin/coinwatch-dag"))
    frame = page.frame_locator("iframe[title=coinwatch]")
    expect(frame.get_by_role("heading", name="Recent cycles and exchanges")).to_be_visible()
    expect(frame.get_by_role("rowheader", name="coinnews")).to_be_visible()
