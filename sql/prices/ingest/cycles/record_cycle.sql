-- Records a cycle, and deletes those of more than a week ago. A cycle that is run again replaces its record.
WITH old AS (
  DELETE FROM cycles WHERE started_at < CAST(:now AS timestamptz) - interval '7 days'
)
INSERT INTO cycles (started_at, finished_at, exchanges, failed, quotes, inserted, rejected, index_prices)
SELECT :started_at, :now, :exchanges, ARRAY(SELECT exchange FROM exchange_health WHERE enabled AND failures > 0 ORDER BY 1),
       :quotes, :inserted, :rejected, :index_prices
ON CONFLICT (started_at) DO UPDATE SET
  (finished_at, exchanges, failed, quotes, inserted, rejected, index_prices)
  = (excluded.finished_at, excluded.exchanges, excluded.failed, excluded.quotes, excluded.inserted, excluded.rejected,
     excluded.index_prices)
