-- A live fetch starts: history calls wait until it ends, or until :until in case its worker dies.
INSERT INTO exchange_status (exchange_id, live_until) VALUES (:exchange_id, :until)
ON CONFLICT (exchange_id) DO UPDATE SET live_until = excluded.live_until;
