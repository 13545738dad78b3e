-- no-transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS waitlist_offers_of_entry ON waitlist_offers (entry_id);
