"""Who is asking, and what they may see and touch (rules 18 to 20). The token is the truth about all of it."""

from dataclasses import dataclass
from enum import Enum


class Role(Enum):
    ANONYMOUS = "anonymous"
    PATIENT = "patient"
    STAFF = "staff"
    ADMIN = "admin"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Viewer:
    """`clinic_keys` None means all clinics. `subject` is the token's `sub`: what holds and idempotency keys belong to."""

    role: Role = Role.ANONYMOUS
    subject: str = ""
    patient_key: int | None = None
    clinic_keys: frozenset[int] | None = frozenset()
    request_id: str = ""

    @property
    def is_staff(self) -> bool:
        """Staff and admin: admin may do all that staff may."""
        return self.role in (Role.STAFF, Role.ADMIN)

    @property
    def is_admin(self) -> bool:
        return self.role is Role.ADMIN

    @property
    def is_patient(self) -> bool:
        return self.role is Role.PATIENT

    def works_at(self, clinic_key: int) -> bool:
        """Whether the viewer acts for this clinic; never true for patients."""
        return self.is_staff and (self.clinic_keys is None or clinic_key in self.clinic_keys)

    def sees_appointment(self, patient_key: int, clinic_key: int) -> bool:
        """Patients see all their own; staff those at their own clinics."""
        return self.patient_key == patient_key if self.is_patient else self.works_at(clinic_key)


ANONYMOUS = Viewer()


class AccessDenied(Exception):
    """The role lacks the right altogether; told before any id is looked at (rule 20)."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def require(viewer: Viewer, *roles: Role) -> None:
    """Raises AccessDenied: UNAUTHENTICATED for the anonymous, FORBIDDEN for another role than those named."""
    if viewer.role in roles:
        return
    raise AccessDenied("UNAUTHENTICATED" if viewer.role is Role.ANONYMOUS else "FORBIDDEN")


def require_signed_in(viewer: Viewer) -> None:
    require(viewer, Role.PATIENT, Role.STAFF, Role.ADMIN)


def require_staff(viewer: Viewer) -> None:
    require(viewer, Role.STAFF, Role.ADMIN)


def require_admin(viewer: Viewer) -> None:
    require(viewer, Role.ADMIN)
