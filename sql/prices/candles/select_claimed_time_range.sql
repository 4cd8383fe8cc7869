-- The time range, in whole minutes, in which prices changed in the claimed ranges; null if none did. It is passed to the
-- next statement as parameters, so that the planner prunes all other partitions.
SELECT date_bin('1 minute', min(first_at), '2000-01-01 00:00+00') AS start,
       date_bin('1 minute', max(last_at), '2000-01-01 00:00+00') + interval '1 minute' AS "end"
FROM claimed_ranges WHERE changed IS NULL;
