-- Exchanges to fetch from: switched on, and with something to watch.
SELECT code FROM exchanges
WHERE enabled AND code <> 'index' AND EXISTS (SELECT 1 FROM watched_instruments w WHERE w.exchange = exchanges.code)
ORDER BY code;
