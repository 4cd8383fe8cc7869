-- Coins that are no longer configured; their history stays.
UPDATE coins SET enabled = false WHERE enabled AND code <> ALL (CAST(:codes AS text[]));
