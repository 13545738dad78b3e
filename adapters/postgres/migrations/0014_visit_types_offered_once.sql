-- Kinds of visit that providers no longer offer: who waited for one while it was offered stands in decisions about that provider.
CREATE TABLE provider_visit_types_before (
    provider_id bigint NOT NULL REFERENCES providers,
    visit_type_id bigint NOT NULL REFERENCES visit_types,
    PRIMARY KEY (provider_id, visit_type_id)
);
-- What was given up before this was noted: as far as an offer tells it.
INSERT INTO provider_visit_types_before (provider_id, visit_type_id)
SELECT DISTINCT o.provider_id, o.visit_type_id FROM waitlist_offers AS o
WHERE NOT EXISTS (SELECT FROM provider_visit_types AS v WHERE v.provider_id = o.provider_id AND v.visit_type_id = o.visit_type_id);
