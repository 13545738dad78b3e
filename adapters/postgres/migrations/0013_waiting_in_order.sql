-- no-transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS waitlist_entries_in_order ON waitlist_entries (clinic_id, (3 - urgency), joined_at, id)
    WHERE status IN ('active', 'offered', 'suspended');
