-- Bytes on disk (with indexes) and estimated rows of every table, the largest first. The daily partitions of prices
-- count as one table; their number and their first and last day stand beside it. Rows are what the planner would
-- guess: the density at the last analysis times the size now; what was never analyzed is counted by the statistics.
SELECT CASE WHEN p.relation IS NULL THEN c.relname ELSE 'prices' END AS table,
       CAST(coalesce(sum(pg_total_relation_size(c.oid)), 0) AS bigint) AS bytes,
       CAST(coalesce(sum(CASE
         WHEN c.relpages > 0 AND c.reltuples >= 0
           THEN c.reltuples / c.relpages * (pg_relation_size(c.oid) / CAST(current_setting('block_size') AS integer))
         ELSE pg_stat_get_live_tuples(c.oid)
       END), 0) AS bigint) AS rows_estimate,
       nullif(count(p.day), 0) AS partitions, min(p.day) AS first_day, max(p.day) AS last_day
FROM pg_class c
LEFT JOIN price_partitions p ON p.relation = c.oid
WHERE (c.relnamespace = CAST('public' AS regnamespace) OR p.relation IS NOT NULL) AND c.relkind = 'r'
GROUP BY 1
ORDER BY bytes DESC, 1;
