"""A user's own attempt to break the promise that nothing is booked twice."""

from app.hammer.hammering import Check, Report, endpoint, hammer

__all__ = ["Check", "Report", "endpoint", "hammer"]
