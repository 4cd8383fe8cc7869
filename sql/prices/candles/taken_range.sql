-- From when to when prices changed in the work taken, in whole minutes; null where none did. Given to the next
-- statement as parameters, so that it is planned with the partitions it needs and no others.
SELECT date_bin('1 minute', min(first_at), '2000-01-01 00:00+00') AS oldest,
       date_bin('1 minute', max(last_at), '2000-01-01 00:00+00') + interval '1 minute' AS newest
FROM taken_stretches WHERE changed IS NULL;
