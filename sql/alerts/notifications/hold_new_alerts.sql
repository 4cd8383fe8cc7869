-- New alerts that are in no email wait for a later run.
UPDATE alerts SET state = 'held' WHERE state = 'new';
