"""The eight kinds of visit that the demo's clinics offer, with the reasons that people give for each."""

from typing import Any, Final

NEW, FOLLOW_UP, PHYSICAL, VIDEO, PHONE, VACCINATION, PROCEDURE, LAB = range(8)


def _kind(
    name: str,
    duration: int,
    *,
    every: int | None = None,
    before: int = 0,
    after: int = 0,
    notice: int = 60,
    ahead: int = 90,
    cancel_until: int = 1440,
    modality: str = "in-person",
) -> dict[str, Any]:
    return {
        "name": name,
        "duration_minutes": duration,
        "buffer_before_minutes": before,
        "buffer_after_minutes": after,
        "start_every_minutes": every,
        "minimum_notice_minutes": notice,
        "bookable_days_ahead": ahead,
        "cancel_until_minutes": cancel_until,
        "modality": modality,
    }


VISIT_TYPES: Final = (
    _kind("New patient visit", 40, every=30, before=5, after=10, notice=240, ahead=120),
    _kind("Follow-up", 20, every=20),
    _kind("Annual physical", 45, every=15, after=5, notice=720, ahead=365),
    _kind("Video consult", 20, every=10, notice=30, ahead=60, cancel_until=120, modality="video"),
    _kind("Phone call", 15, every=15, notice=15, ahead=30, cancel_until=60, modality="phone"),
    _kind("Vaccination", 10, every=10, notice=30, ahead=60, cancel_until=240),
    _kind("Procedure", 60, every=30, after=15, notice=2880, ahead=180, cancel_until=2880),
    _kind("Lab draw", 10, every=5, ahead=30, cancel_until=240),
)

# How often each is asked for beside the others that a provider offers.
WEIGHTS: Final = (8, 5, 7, 2, 1, 1, 8, 1)

REASONS: Final = (
    ("New to the area", "Referred by a friend", "Second opinion"),
    ("Blood pressure check", "Test results", "Medication review", "Back pain, two weeks later"),
    ("Yearly check", "Work physical", "Sports physical"),
    ("Rash on the arm", "Questions about a medicine", "Cough for a week"),
    ("Refill", "Results by phone"),
    ("Flu shot", "Tetanus booster", "Travel vaccines"),
    ("Mole removal", "Joint injection", "Minor procedure"),
    ("Fasting bloods", "Cholesterol", "Before the next visit"),
)
