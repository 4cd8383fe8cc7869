-- Records an action of an operator.
INSERT INTO audit_log (at, actor, via, action, target, details)
VALUES (:at, :actor, :via, :action, :target, CAST(:details AS jsonb))
