-- Exchanges to fetch from: enabled, and with a watched instrument.
SELECT code FROM exchanges
WHERE enabled AND code <> 'index' AND EXISTS (SELECT 1 FROM watched_instruments w WHERE w.exchange = exchanges.code)
ORDER BY code;
