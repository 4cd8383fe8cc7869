-- A coin that holds the history of a ticker before it was reused. It is not watched.
INSERT INTO coins (code, name, position, enabled)
SELECT :archived, name || ' (until ' || to_char(CAST(:effective_at AS timestamptz) AT TIME ZONE 'UTC', 'YYYY-MM-DD') || ')', position, false
FROM coins WHERE code = :coin
ON CONFLICT (code) DO NOTHING;
