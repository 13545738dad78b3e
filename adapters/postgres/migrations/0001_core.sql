-- The whole core: who offers care and where, when they work, what occupies time, and what was done.

-- The stream's epoch: cursors of another epoch do not count. Renewed by `appointments new-epoch` after a restore.
CREATE TABLE stream_epoch (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    epoch uuid NOT NULL DEFAULT gen_random_uuid()
);
INSERT INTO stream_epoch DEFAULT VALUES;

-- Tests shift the clock here; production connections do not listen to it (app_now) and refuse to start.
CREATE TABLE test_clock (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    shift interval NOT NULL DEFAULT '0'
);
INSERT INTO test_clock DEFAULT VALUES;

-- The only clock that statements ask.
CREATE FUNCTION app_now() RETURNS timestamptz LANGUAGE sql VOLATILE AS $$
    SELECT clock_timestamp() + CASE
        WHEN current_setting('appointments.production', true) = 'on' THEN interval '0'
        ELSE (SELECT shift FROM test_clock) END
$$;

-- Anything that occupies time. Its version rises by one with every change of its calendar.
CREATE TABLE resources (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('provider', 'opening')),
    version bigint NOT NULL DEFAULT 0 CHECK (version >= 0)
);

CREATE TABLE clinics (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    version integer NOT NULL DEFAULT 1,
    active boolean NOT NULL DEFAULT true,
    name text NOT NULL CHECK (name <> ''),
    time_zone text NOT NULL CHECK (time_zone <> ''),
    address_lines text[] NOT NULL DEFAULT '{}',
    city text NOT NULL,
    region text,
    postal_code text,
    country text NOT NULL CHECK (country ~ '^[A-Z]{2}$'),
    latitude double precision CHECK (latitude BETWEEN -90 AND 90),
    longitude double precision CHECK (longitude BETWEEN -180 AND 180),
    phone text,
    source_key text UNIQUE,
    CHECK ((latitude IS NULL) = (longitude IS NULL))
);
CREATE INDEX clinics_by_name ON clinics (lower(name), id);

CREATE TABLE visit_types (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    version integer NOT NULL DEFAULT 1,
    active boolean NOT NULL DEFAULT true,
    name text NOT NULL CHECK (name <> ''),
    duration_minutes integer CHECK (duration_minutes BETWEEN 5 AND 720 AND duration_minutes % 5 = 0),
    buffer_before_minutes integer NOT NULL DEFAULT 0 CHECK (buffer_before_minutes BETWEEN 0 AND 240 AND buffer_before_minutes % 5 = 0),
    buffer_after_minutes integer NOT NULL DEFAULT 0 CHECK (buffer_after_minutes BETWEEN 0 AND 240 AND buffer_after_minutes % 5 = 0),
    start_every_minutes integer CHECK (start_every_minutes BETWEEN 5 AND 720 AND start_every_minutes % 5 = 0),
    minimum_notice_minutes integer NOT NULL DEFAULT 60 CHECK (minimum_notice_minutes >= 0),
    bookable_days_ahead integer NOT NULL DEFAULT 90 CHECK (bookable_days_ahead BETWEEN 0 AND 730),
    cancel_until_minutes integer NOT NULL DEFAULT 1440 CHECK (cancel_until_minutes >= 0),
    modality text NOT NULL DEFAULT 'in-person' CHECK (modality IN ('in-person', 'video', 'phone')),
    source_key text UNIQUE
);

-- A provider is a resource: they share the id.
CREATE TABLE providers (
    id bigint PRIMARY KEY REFERENCES resources,
    version integer NOT NULL DEFAULT 1,
    active boolean NOT NULL DEFAULT true,
    kind text NOT NULL DEFAULT 'person' CHECK (kind IN ('person', 'pool')),
    npi text UNIQUE CHECK (npi ~ '^[0-9]{10}$'),
    name text NOT NULL CHECK (name <> ''),
    specialties text[] NOT NULL DEFAULT '{}',
    languages text[] NOT NULL DEFAULT '{}',
    accepting_new_patients boolean NOT NULL DEFAULT true,
    source_key text UNIQUE
);
CREATE INDEX providers_by_name ON providers (lower(name), id);

CREATE TABLE provider_clinics (
    provider_id bigint NOT NULL REFERENCES providers,
    clinic_id bigint NOT NULL REFERENCES clinics,
    PRIMARY KEY (provider_id, clinic_id)
);
CREATE INDEX provider_clinics_by_clinic ON provider_clinics (clinic_id, provider_id);

CREATE TABLE provider_visit_types (
    provider_id bigint NOT NULL REFERENCES providers,
    visit_type_id bigint NOT NULL REFERENCES visit_types,
    PRIMARY KEY (provider_id, visit_type_id)
);

-- The hours of a provider at a clinic, as one versioned whole.
CREATE TABLE schedules (
    provider_id bigint NOT NULL REFERENCES providers,
    clinic_id bigint NOT NULL REFERENCES clinics,
    version integer NOT NULL DEFAULT 1,
    PRIMARY KEY (provider_id, clinic_id)
);

-- Minutes of the clinic's wall clock; 1440 is the next day's 00:00. Weekday 0 is Monday. No visit type named: all.
CREATE TABLE weekly_hours (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    provider_id bigint NOT NULL,
    clinic_id bigint NOT NULL,
    weekday smallint NOT NULL CHECK (weekday BETWEEN 0 AND 6),
    opens smallint NOT NULL CHECK (opens BETWEEN 0 AND 1435 AND opens % 5 = 0),
    closes smallint NOT NULL CHECK (closes BETWEEN 5 AND 1440 AND closes % 5 = 0),
    valid_from date,
    valid_to date,
    visit_type_ids bigint[] NOT NULL DEFAULT '{}',
    FOREIGN KEY (provider_id, clinic_id) REFERENCES schedules,
    CHECK (opens < closes),
    CHECK (valid_from <= valid_to)
);
CREATE INDEX weekly_hours_by_schedule ON weekly_hours (provider_id, clinic_id);

CREATE TABLE schedule_exceptions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    provider_id bigint NOT NULL,
    clinic_id bigint NOT NULL,
    kind text NOT NULL CHECK (kind IN ('closed', 'open', 'replaced')),
    date date NOT NULL,
    opens smallint NOT NULL DEFAULT 0 CHECK (opens BETWEEN 0 AND 1435 AND opens % 5 = 0),
    closes smallint NOT NULL DEFAULT 1440 CHECK (closes BETWEEN 5 AND 1440 AND closes % 5 = 0),
    reason text,
    FOREIGN KEY (provider_id, clinic_id) REFERENCES schedules,
    CHECK (opens < closes)
);
CREATE INDEX schedule_exceptions_by_schedule ON schedule_exceptions (provider_id, clinic_id, date);

-- A published opening is a resource of its own, booked whole, one lane an appointment.
CREATE TABLE openings (
    id bigint PRIMARY KEY REFERENCES resources,
    provider_id bigint NOT NULL REFERENCES providers,
    clinic_id bigint NOT NULL REFERENCES clinics,
    starts_at timestamptz NOT NULL CHECK (isfinite(starts_at)),
    ends_at timestamptz NOT NULL CHECK (isfinite(ends_at)),
    capacity integer NOT NULL CHECK (capacity >= 0),
    offered boolean NOT NULL DEFAULT true,
    UNIQUE (provider_id, starts_at, ends_at),
    CHECK (starts_at < ends_at AND ends_at - starts_at <= interval '24 hours')
);

CREATE TABLE patients (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    version integer NOT NULL DEFAULT 1,
    name text NOT NULL CHECK (name <> ''),
    birth_date date,
    email text,
    phone text
);
CREATE INDEX patients_by_name ON patients (lower(name) text_pattern_ops, id);
CREATE INDEX patients_by_email ON patients (lower(email));
CREATE INDEX patients_by_phone ON patients (phone);
CREATE INDEX patients_by_birth_date ON patients (birth_date);

-- Where a patient was registered. With their appointments this says whose patient they are (rule 18).
CREATE TABLE patient_clinics (
    patient_id bigint NOT NULL REFERENCES patients,
    clinic_id bigint NOT NULL REFERENCES clinics,
    PRIMARY KEY (patient_id, clinic_id)
);
CREATE INDEX patient_clinics_by_clinic ON patient_clinics (clinic_id, patient_id);

CREATE TABLE appointments (
    id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    version integer NOT NULL DEFAULT 1,
    status text NOT NULL CHECK (status IN ('proposed', 'pending', 'booked', 'arrived', 'checked-in', 'fulfilled', 'cancelled', 'noshow', 'entered-in-error')),
    patient_id bigint NOT NULL REFERENCES patients,
    provider_id bigint NOT NULL REFERENCES providers,
    clinic_id bigint NOT NULL REFERENCES clinics,
    visit_type_id bigint NOT NULL REFERENCES visit_types,
    opening_id bigint REFERENCES openings,
    starts_at timestamptz NOT NULL CHECK (isfinite(starts_at)),
    ends_at timestamptz NOT NULL CHECK (isfinite(ends_at)),
    reason text CHECK (char_length(reason) <= 255),
    CHECK (starts_at < ends_at AND ends_at - starts_at <= interval '24 hours'),
    -- Rule 13: nobody is in two places. Openings of more than two hours are arrival windows and do not count.
    CONSTRAINT patient_in_one_place EXCLUDE USING gist (
        int8range(patient_id, patient_id, '[]') WITH &&,
        tstzrange(starts_at, ends_at) WITH &&
    ) WHERE (status NOT IN ('cancelled', 'entered-in-error')
             AND (opening_id IS NULL OR ends_at - starts_at <= interval '2 hours'))
);
CREATE UNIQUE INDEX one_visit_in_an_opening ON appointments (patient_id, opening_id)
    WHERE status NOT IN ('cancelled', 'entered-in-error') AND opening_id IS NOT NULL;
CREATE INDEX appointments_by_patient ON appointments (patient_id, starts_at, id);
CREATE INDEX appointments_by_clinic ON appointments (clinic_id, starts_at);
CREATE INDEX appointments_by_provider ON appointments (provider_id, starts_at);

CREATE TABLE appointment_events (
    appointment_id bigint NOT NULL REFERENCES appointments,
    version integer NOT NULL,
    at timestamptz NOT NULL,
    by_role text NOT NULL CHECK (by_role IN ('patient', 'staff', 'admin', 'system')),
    subject text NOT NULL,
    change text NOT NULL CHECK (change IN ('booked', 'moved', 'cancelled', 'status-set')),
    status text NOT NULL,
    starts_at_before timestamptz,
    starts_at timestamptz NOT NULL,
    reason text,
    PRIMARY KEY (appointment_id, version)
);

-- A hold's time and its end stand in its allocation; here is whose it is and for which slot.
CREATE TABLE holds (
    id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    caller text NOT NULL,
    role text NOT NULL CHECK (role IN ('patient', 'staff', 'admin')),
    provider_id bigint NOT NULL REFERENCES providers,
    clinic_id bigint NOT NULL REFERENCES clinics,
    visit_type_id bigint NOT NULL REFERENCES visit_types,
    opening_id bigint REFERENCES openings,
    starts_at timestamptz NOT NULL CHECK (isfinite(starts_at)),
    ends_at timestamptz NOT NULL CHECK (isfinite(ends_at)),
    taken_at timestamptz NOT NULL,
    extended boolean NOT NULL DEFAULT false,
    state text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'released', 'expired', 'used')),
    resource_version bigint NOT NULL, -- which change it was last told as: finds its cursor again
    CHECK (starts_at < ends_at AND ends_at - starts_at <= interval '24 hours')
);
CREATE INDEX holds_by_caller ON holds (caller) WHERE state = 'active';

-- The only thing that occupies time (design 3). One function writes it: adapters/postgres/allocations.py.
CREATE TABLE allocations (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    resource_id bigint NOT NULL REFERENCES resources,
    lane integer NOT NULL DEFAULT 0 CHECK (lane >= 0),
    starts_at timestamptz NOT NULL CHECK (isfinite(starts_at)),
    ends_at timestamptz NOT NULL CHECK (isfinite(ends_at)),
    -- The same in ticks of five minutes of UTC, rounded outwards: what reading a calendar needs, without a conversion a row.
    first_tick integer NOT NULL GENERATED ALWAYS AS
        (CASE WHEN isfinite(starts_at) THEN
            floor(extract(epoch FROM starts_at - timestamptz '1970-01-01 00:00:00+00') / 300)::integer ELSE 0 END) STORED,
    end_tick integer NOT NULL GENERATED ALWAYS AS
        (CASE WHEN isfinite(ends_at) THEN
            ceil(extract(epoch FROM ends_at - timestamptz '1970-01-01 00:00:00+00') / 300)::integer ELSE 0 END) STORED,
    state text NOT NULL CHECK (state IN ('held', 'booked', 'blocked', 'released')),
    hold_id bigint REFERENCES holds DEFERRABLE INITIALLY DEFERRED,
    appointment_id bigint REFERENCES appointments DEFERRABLE INITIALLY DEFERRED,
    expires_at timestamptz,
    CHECK (starts_at < ends_at AND ends_at - starts_at <= interval '32 hours'),
    CHECK (state <> 'held' OR hold_id IS NOT NULL),
    CHECK (state <> 'booked' OR (appointment_id IS NOT NULL AND expires_at IS NULL)),
    CONSTRAINT one_owner_of_a_time EXCLUDE USING gist (
        int8range(resource_id, resource_id, '[]') WITH &&,
        int4range(lane, lane, '[]') WITH &&,
        tstzrange(starts_at, ends_at) WITH &&
    ) WHERE (state <> 'released')
);
CREATE INDEX allocations_by_resource ON allocations (resource_id, starts_at) WHERE state <> 'released';
CREATE UNIQUE INDEX one_time_of_an_appointment ON allocations (appointment_id) WHERE state = 'booked';
CREATE UNIQUE INDEX one_time_of_a_hold ON allocations (hold_id) WHERE state = 'held';
CREATE INDEX allocations_to_expire ON allocations (expires_at) WHERE state = 'held' AND expires_at IS NOT NULL;

-- Outcome of what changed something: type, ids and cursor. Kept 48 hours (rule 14).
CREATE TABLE idempotency (
    caller text NOT NULL,
    key text NOT NULL,
    operation text NOT NULL,
    request_hash bytea NOT NULL,
    outcome jsonb NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (caller, key)
);
CREATE INDEX idempotency_by_time ON idempotency (at);

-- Every write, and every read of a patient's data by staff or admin (rule 22).
CREATE TABLE audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL,
    subject text NOT NULL,
    role text NOT NULL,
    patient_id bigint,
    operation text NOT NULL,
    entity text,
    request_id text NOT NULL
);
CREATE INDEX audit_by_patient ON audit (patient_id, at);

-- Written in the transaction of the change; read below the snapshot horizon in (xid, id) order.
-- topic 'availability': one row per affected clinic; topic 'appointments': opaque ids for staff and patient streams.
CREATE TABLE outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    at timestamptz NOT NULL,
    topic text NOT NULL CHECK (topic IN ('availability', 'appointments')),
    clinic_id bigint,
    resource_id bigint,
    resource_version bigint,
    appointment_id bigint,
    appointment_version integer,
    patient_id bigint,
    payload jsonb NOT NULL
);
CREATE INDEX outbox_in_order ON outbox (xid, id);
CREATE INDEX outbox_by_clinic ON outbox (clinic_id, xid, id) WHERE topic = 'availability';
CREATE INDEX outbox_by_resource ON outbox (resource_id, resource_version) WHERE topic = 'availability';
CREATE INDEX outbox_by_appointment ON outbox (appointment_id, appointment_version) WHERE topic = 'appointments';
