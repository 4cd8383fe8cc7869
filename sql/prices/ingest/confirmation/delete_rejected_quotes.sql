-- Rejected quotes are kept for operators for a while.
DELETE FROM unconfirmed_quotes WHERE rejected_at < :delete_before;
