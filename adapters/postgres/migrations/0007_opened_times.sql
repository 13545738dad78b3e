-- Times come up not only by edits of hours: a provider comes to a clinic or offers another kind of visit, a feed publishes an
-- opening. `visit_type_ids`: the kinds of visit that it came up for; null: for all that the provider offers there. `places`: of an
-- opening, how many of them are still to be offered.
ALTER TABLE waitlist_opened ADD COLUMN visit_type_ids bigint[], ADD COLUMN opening_id bigint,
    ADD COLUMN places integer NOT NULL DEFAULT 1;
