-- The codes of all exchanges, including the index.
SELECT code FROM exchanges ORDER BY code;
