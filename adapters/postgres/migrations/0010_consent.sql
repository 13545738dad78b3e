-- Whether the patient of an entry is booked without being asked. Who agreed to be moved has agreed to nothing once that appointment
-- is given up, and who has a coming visit of that kind there, but the one to be moved, is asked whether they want another.
CREATE FUNCTION booked_unasked(entry bigint) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT e.auto_book AND (x.id IS NULL OR x.status = 'booked') AND NOT EXISTS (
        SELECT FROM appointments AS v
        WHERE v.patient_id = e.patient_id AND v.clinic_id = e.clinic_id AND v.visit_type_id = e.visit_type_id
            AND v.id IS DISTINCT FROM e.appointment_id AND v.status IN ('booked', 'arrived', 'checked-in') AND v.ends_at > app_now())
    FROM waitlist_entries AS e LEFT JOIN appointments AS x ON x.id = e.appointment_id WHERE e.id = entry
$$;
