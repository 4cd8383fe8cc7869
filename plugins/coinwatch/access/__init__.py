"""Who may use coinwatch, and how much: API keys, sessions of operators, and rate limits that protect people."""
