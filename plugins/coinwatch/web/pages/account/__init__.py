"""The account pages of a subscriber, and signing in by an emailed link."""

from coinwatch.web.pages.account import alerts, channels, data, edit, history, overview, settings, sign_in, snooze

ACCOUNT = (sign_in, snooze, overview, edit, alerts, history, settings, channels, data)
