-- The live fetch has ended.
UPDATE exchange_status SET live_until = NULL WHERE exchange_id = :exchange_id;
