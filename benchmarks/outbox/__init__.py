"""What is lost and what is duplicates when everything around the outbox fails."""
