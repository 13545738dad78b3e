-- The log of changes: which outbox row comes where, written by the one relay (services/relaying.py).

-- A clinic's events are numbered without gaps, from 1, in `seq`; rows of the outbox that no clinic is told have none.
CREATE TABLE stream (
    position bigint PRIMARY KEY,
    outbox_id bigint NOT NULL UNIQUE,
    topic text NOT NULL CHECK (topic IN ('availability', 'appointments')),
    clinic_id bigint,
    seq bigint,
    at timestamptz NOT NULL,
    CHECK ((seq IS NOT NULL) = (topic = 'availability' AND clinic_id IS NOT NULL))
);

-- The last number given at each clinic. Room on each page, so that raising one leaves the index alone.
CREATE TABLE stream_heads (
    clinic_id bigint PRIMARY KEY,
    seq bigint NOT NULL CHECK (seq > 0)
) WITH (fillfactor = 50);

-- One row: how far the relay is. (xid, outbox_id) is the last row that was numbered, `position` its place in the stream,
-- `published` the last place that the broker has (the same where there is none). Everything older than `horizon_age` seconds
-- at `at` is in the stream. Rows relayed up to `trimmed_to` may have been taken away.
CREATE TABLE stream_pulse (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    xid xid8 NOT NULL DEFAULT '0',
    outbox_id bigint NOT NULL DEFAULT 0,
    position bigint NOT NULL DEFAULT 0,
    published bigint NOT NULL DEFAULT 0,
    at timestamptz,
    horizon_age double precision NOT NULL DEFAULT 0,
    trimmed_to timestamptz NOT NULL DEFAULT '-infinity'
) WITH (fillfactor = 50);
INSERT INTO stream_pulse DEFAULT VALUES;
