-- no-transaction
CREATE INDEX CONCURRENTLY waitlist_offers_of_entry ON waitlist_offers (entry_id);
