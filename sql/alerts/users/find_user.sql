-- The user with an address.
SELECT id FROM users WHERE lower(email) = lower(:email);
