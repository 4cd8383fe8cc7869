-- Record that the exchange was asked which instruments it trades.
INSERT INTO exchange_status (exchange_id, trading_checked_at) VALUES (:exchange_id, :now)
ON CONFLICT (exchange_id) DO UPDATE SET trading_checked_at = excluded.trading_checked_at;
