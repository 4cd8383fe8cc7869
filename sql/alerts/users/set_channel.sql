-- Sets the channel to which a user's alerts are also sent; null for none.
UPDATE users SET channel_url = :url WHERE lower(email) = lower(:email)
RETURNING id;
