-- When the exchange was last asked which instruments it trades.
SELECT trading_checked_at FROM exchange_status WHERE exchange_id = :exchange_id;
