"""The real cycle in a process of its own, hit by a fault at a chosen point, and a count of what people were told."""
