-- no-transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS waitlist_decisions_by_provider ON waitlist_decisions (clinic_id, provider_id, at, id);
