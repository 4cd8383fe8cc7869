-- Size on disk (with indexes) and estimated number of rows of every table, largest first. The daily partitions of
-- prices count as one table. The estimate is the planner's: row density at the last ANALYZE times the current size;
-- for tables never analyzed, the statistics counter.
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
