"""What can go wrong that no caller caused or can decide: told as errors with a stable code, never as values."""


class Unavailable(Exception):
    """A part that is needed does not answer in time. Nothing was written, or it is unknown: the same key tells."""


class RequestInProgress(Exception):
    """Another request with the same idempotency key is being carried out."""


class BadInput(Exception):
    """A field's own rule is broken where the answer has no InvalidInput (rule 15). `field` is dotted, as clients spell it."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.message = message


class Forbidden(Exception):
    """The viewer has the role but not this clinic (rule 20: clinicDay, schedule)."""
