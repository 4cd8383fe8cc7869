-- All of a person's subscriptions and alerts. Before the person: the alerts point to the mails that go with the person.
DELETE FROM subscriptions WHERE user_id = :user_id;
