"""What the account pages show and do."""
