"""What follows a mutation, whatever it answered: reads see it, and patients whose data it shows are noted (rule 22)."""

from typing import TypeVar

from domain.outcomes import PatientConflict, PossibleDuplicate, ScheduleSaved, VersionConflict
from resolvers.context import Info

T = TypeVar("T")


def answered(info: Info, outcome: T) -> T:
    loaders = info.context.loaders
    loaders.after_write()
    if isinstance(outcome, VersionConflict):
        loaders.read_patient(outcome.current.patient_key)
    elif isinstance(outcome, PatientConflict) and outcome.appointment is not None:
        loaders.read_patient(outcome.appointment.patient_key)
    elif isinstance(outcome, PossibleDuplicate):
        for candidate in outcome.candidates:
            loaders.read_patient(candidate.key)
    elif isinstance(outcome, ScheduleSaved):
        for appointment in outcome.orphaned:
            loaders.read_patient(appointment.patient_key)
    return outcome
