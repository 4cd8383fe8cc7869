"""The account pages of a subscriber, and signing in by an emailed link."""
