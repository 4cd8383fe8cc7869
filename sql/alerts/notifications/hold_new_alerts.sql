-- Holds new alerts that are not in an email.
UPDATE alerts SET state = 'held' WHERE state = 'new';
