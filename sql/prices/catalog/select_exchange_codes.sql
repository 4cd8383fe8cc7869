-- Every exchange there is, the index included.
SELECT code FROM exchanges ORDER BY code;
