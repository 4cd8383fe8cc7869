-- Records that a user looks at their alerts: a new visit if the last one ended before :visit_ended.
INSERT INTO account_visits AS v (user_id, last_at) SELECT id, CAST(:now AS timestamptz) FROM users WHERE id = :user_id
ON CONFLICT (user_id) DO UPDATE SET
  previous_at = CASE WHEN v.last_at < :visit_ended THEN v.last_at ELSE v.previous_at END,
  last_at = greatest(v.last_at, excluded.last_at)
RETURNING previous_at;
