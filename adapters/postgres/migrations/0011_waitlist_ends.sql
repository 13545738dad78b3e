-- When an entry's wait was over; null: it waits, or it ended before this was noted. No later decision is about it.
ALTER TABLE waitlist_entries ADD COLUMN ended_at timestamptz;
