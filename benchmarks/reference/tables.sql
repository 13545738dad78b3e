-- What a scheduling app with stored slots usually has, with the indexes its queries want.
CREATE TABLE clinics (
    id bigint PRIMARY KEY,
    name text NOT NULL,
    time_zone text NOT NULL
);
CREATE TABLE visit_types (
    id bigint PRIMARY KEY,
    name text NOT NULL,
    duration_minutes integer NOT NULL
);
CREATE TABLE providers (
    id bigint PRIMARY KEY,
    name text NOT NULL
);
CREATE TABLE provider_clinics (
    provider_id bigint NOT NULL REFERENCES providers,
    clinic_id bigint NOT NULL REFERENCES clinics,
    PRIMARY KEY (provider_id, clinic_id)
);
CREATE INDEX provider_clinics_by_clinic ON provider_clinics (clinic_id, provider_id);
CREATE TABLE patients (
    id bigint PRIMARY KEY,
    name text NOT NULL
);
CREATE TABLE slots (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    provider_id bigint NOT NULL REFERENCES providers,
    clinic_id bigint NOT NULL REFERENCES clinics,
    visit_type_id bigint NOT NULL REFERENCES visit_types,
    local_date date NOT NULL,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    status text NOT NULL DEFAULT 'FREE'
);
CREATE TABLE appointments (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    slot_id bigint NOT NULL REFERENCES slots,
    patient_id bigint NOT NULL REFERENCES patients,
    provider_id bigint NOT NULL REFERENCES providers,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    status text NOT NULL
);
CREATE UNIQUE INDEX one_appointment_a_slot ON appointments (slot_id) WHERE status <> 'CANCELLED';
CREATE INDEX appointments_by_patient ON appointments (patient_id, starts_at);
CREATE TABLE appointment_events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    appointment_id bigint NOT NULL REFERENCES appointments,
    at timestamptz NOT NULL DEFAULT now(),
    change text NOT NULL
);
CREATE TABLE outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    topic text NOT NULL,
    payload jsonb NOT NULL
);
