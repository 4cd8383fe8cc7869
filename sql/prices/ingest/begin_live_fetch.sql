-- A live fetch begins: calls for history wait until it is over, or until then should its worker die.
INSERT INTO exchange_status (exchange_id, live_until) VALUES (:exchange_id, :until)
ON CONFLICT (exchange_id) DO UPDATE SET live_until = excluded.live_until;
