-- Suppressed addresses, the latest first, and how many subscriptions the suppression paused.
SELECT u.id, u.email, u.suppressed_at, u.suppression_reason AS reason,
       (SELECT count(*) FROM subscriptions s WHERE s.user_id = u.id AND s.status = 'paused' AND s.paused_by_suppression) AS paused
FROM users u
WHERE u.suppressed_at IS NOT NULL
ORDER BY u.suppressed_at DESC, u.id
LIMIT :limit
