"""What the operator pages show and do."""
