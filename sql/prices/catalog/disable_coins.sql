-- Disable coins that are no longer configured; their history is kept.
UPDATE coins SET enabled = false WHERE enabled AND code <> ALL (CAST(:codes AS text[]));
