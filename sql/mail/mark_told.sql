-- The alerts that the mails of this run tell.
UPDATE alerts SET state = 'told', outbox_id = p.outbox_id
FROM people_to_tell p
CROSS JOIN LATERAL (
  SELECT a.id FROM subscriptions s JOIN alerts a ON a.subscription_id = s.id
  WHERE s.user_id = p.user_id AND s.status <> 'unsubscribed' AND a.state IN ('new', 'held')
  OFFSET 0
) mine
WHERE alerts.id = mine.id AND p.outbox_id IS NOT NULL;
