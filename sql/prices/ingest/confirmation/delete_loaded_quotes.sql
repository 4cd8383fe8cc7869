-- Quotes that were confirmed and loaded no longer wait. The range prunes the partitions of prices.
DELETE FROM unconfirmed_quotes u
USING prices p
WHERE p.instrument_id = u.instrument_id AND p.observed_at = u.observed_at
  AND p.observed_at >= :oldest AND p.observed_at <= :newest AND u.observed_at >= :oldest AND u.observed_at <= :newest;
