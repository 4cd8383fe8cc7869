-- Bytes on disk (with indexes) and estimated rows of every table, the largest first. The daily partitions of prices
-- count as one table; their number and their first and last day stand beside it. Rows are what the planner would
-- guess: the density at the last analysis times the size now; what was never analyzed is counted by the statistics.
SELECT CASE WHEN i.inhparent = CAST('public.prices' AS regclass) THEN 'prices' ELSE c.relname END AS table,
       coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint AS bytes,
       coalesce(sum(CASE
         WHEN c.relpages > 0 AND c.reltuples >= 0
           THEN c.reltuples / c.relpages * (pg_relation_size(c.oid) / current_setting('block_size')::integer)
         ELSE pg_stat_get_live_tuples(c.oid)
       END), 0)::bigint AS rows_estimate,
       nullif(count(*) FILTER (WHERE i.inhparent = CAST('public.prices' AS regclass)), 0) AS partitions,
       min(to_date(right(c.relname, 8), 'YYYYMMDD')) FILTER (WHERE i.inhparent = CAST('public.prices' AS regclass)) AS first_day,
       max(to_date(right(c.relname, 8), 'YYYYMMDD')) FILTER (WHERE i.inhparent = CAST('public.prices' AS regclass)) AS last_day
FROM pg_class c
LEFT JOIN pg_inherits i ON i.inhrelid = c.oid
WHERE c.relnamespace = CAST('public' AS regnamespace) AND c.relkind = 'r'
GROUP BY 1
ORDER BY bytes DESC, 1;
