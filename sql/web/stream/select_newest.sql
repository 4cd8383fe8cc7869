-- When the newest price was received, and when the newest alert fired; null if there is none.
SELECT (SELECT max(received_at) FROM latest_quotes) AS received_at, (SELECT max(created_at) FROM alerts) AS fired_at;
