-- What was judged is never judged again.
UPDATE match_watermarks m SET judged_to = newest.observed_at
FROM (SELECT instrument_id, max(observed_at) AS observed_at FROM judged_quotes GROUP BY instrument_id) newest
WHERE m.instrument_id = newest.instrument_id;
