"""What is lost and what is doubled when everything around the outbox fails."""
