-- When a user last looked at their alerts, and the end of the visit before.
SELECT last_at, previous_at FROM account_visits WHERE user_id = :user_id;
