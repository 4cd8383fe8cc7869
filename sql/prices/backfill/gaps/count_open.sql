-- Gaps that wait for a repair.
SELECT count(*) FROM gaps WHERE status = 'open';
