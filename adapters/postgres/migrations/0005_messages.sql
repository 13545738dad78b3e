-- Messages to patients: which will go or went, when, through what, and why not.

-- What a patient has chosen. Null zone: that of the clinic of registration. Wall-clock minutes of that zone; null: no quiet hours.
CREATE TABLE notification_preferences (
    patient_id bigint PRIMARY KEY REFERENCES patients,
    channels text[] NOT NULL CHECK (channels <@ ARRAY['email', 'sms'] AND cardinality(channels) > 0),
    time_zone text CHECK (time_zone <> ''),
    quiet_from smallint CHECK (quiet_from BETWEEN 0 AND 1435 AND quiet_from % 5 = 0),
    quiet_to smallint CHECK (quiet_to BETWEEN 0 AND 1435 AND quiet_to % 5 = 0),
    language text NOT NULL DEFAULT 'en' CHECK (language <> ''),
    CHECK ((quiet_from IS NULL) = (quiet_to IS NULL) AND quiet_from <> quiet_to)
);

-- Nothing more is sent there: small letters for e-mail, E.164 for SMS.
CREATE TABLE stopped_addresses (
    channel text NOT NULL CHECK (channel IN ('email', 'sms')),
    address text NOT NULL CHECK (address <> ''),
    at timestamptz NOT NULL,
    PRIMARY KEY (channel, address)
);

-- The link in an e-mail that stops its address. The token says nothing and can't be guessed.
CREATE TABLE stop_links (
    token text PRIMARY KEY CHECK (char_length(token) >= 22),
    channel text NOT NULL CHECK (channel IN ('email', 'sms')),
    address text NOT NULL CHECK (address <> ''),
    UNIQUE (channel, address)
);

-- Versions of appointments whose messages are to be thought about, written in the transaction of the change. What was due before
-- `since` is not sent any more.
CREATE TABLE messages_to_plan (
    appointment_id bigint NOT NULL,
    version integer NOT NULL,
    since timestamptz,
    PRIMARY KEY (appointment_id, version)
);
-- Visits that were booked before there were messages get their reminders; nobody is told again of the booking.
INSERT INTO messages_to_plan (appointment_id, version, since)
SELECT id, version, app_now() FROM appointments WHERE status = 'booked' AND starts_at > app_now();

-- The same for offers of the waitlist, as they are made and as they end.
CREATE TABLE offers_to_plan (
    offer_id bigint PRIMARY KEY
);

-- About a version of an appointment, or about an offer (version 1). `rule_at` is the moment that the rule names, `due_at` when it may go (quiet hours), `next_at` when it is looked at next: while
-- `sending`, when whoever has it counts as dead. Written before the call: `tries`, which tells tries apart, and `tried_at`, by the
-- sender's own clock, since it is compared with the provider's. `unknown`: a try may have arrived.
CREATE TABLE messages (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    appointment_id bigint REFERENCES appointments,
    offer_id bigint REFERENCES waitlist_offers,
    version integer NOT NULL,
    rule text NOT NULL CHECK (rule IN ('confirmation', 'day-before', 'two-hours-before', 'moved', 'cancelled', 'offer')),
    channel text NOT NULL CHECK (channel IN ('email', 'sms')),
    starts_at timestamptz NOT NULL,
    rule_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    next_at timestamptz NOT NULL,
    status text NOT NULL CHECK (status IN ('scheduled', 'sending', 'sent', 'failed', 'skipped')),
    why text,
    tries integer NOT NULL DEFAULT 0 CHECK (tries >= 0),
    tried_at timestamptz,
    unknown boolean NOT NULL DEFAULT false,
    provider_id text,
    delivery text,
    sent_at timestamptz,
    UNIQUE (appointment_id, version, rule, channel),
    UNIQUE (offer_id, channel),
    CHECK ((appointment_id IS NULL) = (rule = 'offer') AND (offer_id IS NOT NULL) = (rule = 'offer')),
    CHECK (status <> 'sending' OR tries > 0),
    CHECK ((status = 'sent') <= (sent_at IS NOT NULL))
) WITH (fillfactor = 80);
CREATE INDEX messages_by_due ON messages (channel, next_at) WHERE status IN ('scheduled', 'sending');

CREATE INDEX messages_by_provider_id ON messages (provider_id) WHERE provider_id IS NOT NULL;

-- Where and how a patient is reached: what they chose, or rule 49.
CREATE VIEW recipients AS
SELECT p.id AS patient_id, p.name, p.email, p.phone, n.channels, coalesce(n.time_zone, home.time_zone) AS time_zone,
    n.patient_id IS NOT NULL AS chosen, n.quiet_from, n.quiet_to, coalesce(n.language, 'en') AS language,
    EXISTS (SELECT FROM stopped_addresses AS s WHERE s.channel = 'email' AND s.address = lower(p.email)) AS email_stopped,
    EXISTS (SELECT FROM stopped_addresses AS s WHERE s.channel = 'sms' AND s.address = p.phone) AS phone_stopped
FROM patients AS p
LEFT JOIN notification_preferences AS n ON n.patient_id = p.id
LEFT JOIN LATERAL (
    SELECT c.time_zone FROM patient_clinics AS w JOIN clinics AS c ON c.id = w.clinic_id
    WHERE w.patient_id = p.id ORDER BY w.clinic_id LIMIT 1
) AS home ON true;
