-- Where a person's alerts go besides mail; null for nowhere.
UPDATE users SET channel_url = :url WHERE lower(email) = lower(:email);
