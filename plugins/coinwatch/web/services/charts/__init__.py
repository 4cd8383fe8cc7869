"""Charts that are drawn on the server, and the gaps in any chart."""
