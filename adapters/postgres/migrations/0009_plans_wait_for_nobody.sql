-- What is asked twice is planned twice, with no harm. While a row was unique, whoever asked (accepting an offer, a change of
-- address, the sender) waited for the whole transaction of the worker who had taken the same one, or met a row that was about to be
-- planned with what was true before. The tables are short: workers empty them twice a second.
-- squawk-ignore ban-drop-constraint
ALTER TABLE messages_to_plan DROP CONSTRAINT messages_to_plan_pkey;
-- squawk-ignore adding-field-with-default, adding-serial-primary-key-field
ALTER TABLE messages_to_plan ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY;
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX messages_to_plan_of_appointment ON messages_to_plan (appointment_id);
-- squawk-ignore ban-drop-constraint
ALTER TABLE offers_to_plan DROP CONSTRAINT offers_to_plan_pkey;
-- squawk-ignore adding-field-with-default, adding-serial-primary-key-field
ALTER TABLE offers_to_plan ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY;
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX offers_to_plan_of_offer ON offers_to_plan (offer_id);

-- Whose addresses or wishes changed: what they are to be told is planned anew. Which visits and offers that concerns is looked up by the
-- worker, after the change: who changed it could not see what others were booking meanwhile.
CREATE TABLE patients_to_plan (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    patient_id bigint NOT NULL
);
