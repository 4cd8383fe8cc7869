-- Records that an API key was used, unless that was recorded within the last hour.
UPDATE api_keys SET last_used_at = :now
WHERE id = :id AND (last_used_at IS NULL OR last_used_at < :before)
