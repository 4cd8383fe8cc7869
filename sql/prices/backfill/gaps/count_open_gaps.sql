-- How many gaps are open.
SELECT count(*) FROM gaps WHERE status = 'open';
