-- The live fetch is over.
UPDATE exchange_status SET live_until = NULL WHERE exchange_id = :exchange_id;
