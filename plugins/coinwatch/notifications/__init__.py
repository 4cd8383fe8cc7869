"""Who is notified and when: quiet hours, digests, caps, suppression, the outbox, other channels."""
