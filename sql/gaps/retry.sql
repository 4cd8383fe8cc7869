-- Open unavailable gaps again; exchange and coin narrow it down, null means all. The index can never be asked.
UPDATE gaps SET status = 'open', reason = NULL, settled_at = NULL
FROM instruments i
JOIN exchanges e ON e.id = i.exchange_id
WHERE i.id = gaps.instrument_id AND gaps.status = 'unavailable' AND gaps.ended_at > :since AND e.code <> :index
  AND (CAST(:exchange AS text) IS NULL OR e.code = lower(CAST(:exchange AS text)))
  AND (CAST(:coin AS text) IS NULL OR i.base = upper(CAST(:coin AS text)));
