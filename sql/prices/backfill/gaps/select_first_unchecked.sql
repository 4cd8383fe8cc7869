-- From when on a watched instrument has not been checked for gaps; :oldest if one was never checked. Null if none is watched.
SELECT min(coalesce(c.checked_until, :oldest))
FROM watched_instruments w
LEFT JOIN gap_checks c ON c.instrument_id = w.instrument_id;
