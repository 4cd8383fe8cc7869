-- Reject quotes that nothing has confirmed although their exchange has had a later one.
UPDATE unconfirmed_quotes u SET rejected_at = :now
WHERE rejected_at IS NULL AND observed_at < :unconfirmed_before
  AND (EXISTS (SELECT FROM latest_quotes l WHERE l.instrument_id = u.instrument_id AND l.observed_at > u.observed_at)
       OR EXISTS (SELECT FROM unconfirmed_quotes later WHERE later.instrument_id = u.instrument_id AND later.observed_at > u.observed_at));
