-- Web sites that may embed a clinic's calendar and ask the API from there, as browsers write them in `Origin`.
CREATE TABLE clinic_origins (
    clinic_id bigint NOT NULL REFERENCES clinics,
    origin text NOT NULL CHECK (origin ~ '^https?://[^/@*[:space:]]+$'),
    PRIMARY KEY (clinic_id, origin)
);
