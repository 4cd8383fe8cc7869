"""The coin page: what it shows, read from its address; its chart; its feed."""
