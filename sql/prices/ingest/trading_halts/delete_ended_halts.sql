-- Delete the halts of one exchange that have ended: all but those of :instrument_ids.
DELETE FROM trading_halts
USING instruments i
WHERE i.id = trading_halts.instrument_id AND i.exchange_id = :exchange_id
  AND trading_halts.instrument_id <> ALL (CAST(:instrument_ids AS integer[]));
