-- Record halts; one that is already known keeps its start, unless its status changed.
INSERT INTO trading_halts (instrument_id, status, term, since)
SELECT instrument_id, status, term, :now
FROM unnest(CAST(:instrument_ids AS integer[]), CAST(:statuses AS text[]), CAST(:terms AS text[])) AS given (instrument_id, status, term)
ORDER BY instrument_id
ON CONFLICT (instrument_id) DO UPDATE
SET status = excluded.status, term = excluded.term, since = excluded.since
WHERE (trading_halts.status, trading_halts.term) IS DISTINCT FROM (excluded.status, excluded.term);
