-- What search looks through in this database: one row for each provider at each clinic. Everything here can be made again from the
-- core's tables; which of two writers is newer is decided by the clinic's number in its stream (`seq`), within one epoch.

-- `terms` are what a text may match, folded, each with the mark of its field (domain/search_documents.py). `next_days` has a place for
-- each of `visit_type_ids`: the first clinic date with an open time, a hint by which hits are sorted; `next_day` is the earliest of
-- them. Documents with equal `facets` count alike in all facets but that of clinics. A pair that ends stays, not listed, so that no late writer brings it back. Hints and `seq` change most and stand in no index.
CREATE TABLE search_documents (
    provider_id bigint NOT NULL,
    clinic_id bigint NOT NULL,
    epoch uuid NOT NULL,
    seq bigint NOT NULL,
    listed boolean NOT NULL,
    accepting boolean NOT NULL,
    latitude double precision,
    longitude double precision,
    next_day date,
    name text NOT NULL,
    sort_name text COLLATE "C" NOT NULL,
    clinic_name text NOT NULL,
    specialties text[] NOT NULL,
    languages text[] NOT NULL,
    modalities text[] NOT NULL,
    visit_type_ids bigint[] NOT NULL,
    next_days date[] NOT NULL,
    terms text[] NOT NULL,
    facets bigint NOT NULL GENERATED ALWAYS AS (hash_array_extended(array_cat(
        array_append(array_cat(array_append(specialties, ''), languages), ''), modalities), 0)) STORED,
    PRIMARY KEY (provider_id, clinic_id),
    CHECK ((latitude IS NULL) = (longitude IS NULL)),
    CHECK (cardinality(visit_type_ids) = cardinality(next_days))
) WITH (fillfactor = 80, toast_tuple_target = 512);
CREATE INDEX search_documents_by_term ON search_documents USING gin (terms);
CREATE INDEX search_documents_by_clinic ON search_documents (clinic_id);

-- Kilometres of the great circle between two places (latitude, longitude; latitude, longitude). Null for a first that is none:
-- least() would take no distance for the longest.
CREATE FUNCTION search_km(double precision, double precision, double precision, double precision)
RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN $1 IS NOT NULL THEN 12742.0176 * asin(least(1, sqrt(
    sin(radians($1 - $3) / 2) ^ 2 + cos(radians($3)) * cos(radians($1)) * sin(radians($2 - $4) / 2) ^ 2))) END;

-- Every term that a document has or had which is a word or a specialty. A word that is typed becomes the terms that begin with it or
-- are spelled like it: two words at most two mistakes apart share one of their `deletions`, the word without one of its letters.
CREATE TABLE search_words (
    term text COLLATE "C" PRIMARY KEY,
    deletions text[] NOT NULL
);
CREATE INDEX search_words_by_deletion ON search_words USING gin (deletions);

-- Names of providers and clinics by each of their words, for suggestions as one types. Whether one is listed the documents say.
CREATE TABLE search_names (
    kind text NOT NULL CHECK (kind IN ('provider', 'clinic')),
    word text COLLATE "C" NOT NULL,
    sort_name text COLLATE "C" NOT NULL,
    key bigint NOT NULL,
    words text[] NOT NULL,
    PRIMARY KEY (kind, key, word)
);
CREATE INDEX search_names_by_word ON search_names (kind, word, sort_name, key);

-- How far a group of indexers is: everything in the log up to `position`, in that epoch, stands in the index of that name. Without
-- Kafka that is where the next one goes on; with Kafka the broker keeps the position, and the row says which epoch the index is of.
CREATE TABLE search_progress (
    name text PRIMARY KEY,
    epoch uuid NOT NULL,
    position bigint NOT NULL DEFAULT 0 CHECK (position >= 0),
    at timestamptz NOT NULL
) WITH (fillfactor = 50);
