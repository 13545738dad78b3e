"""What subscriptions and queries ask of the live calendar."""

from domain import streams
from domain.frames import Snapshot
from domain.shapes import Shape
from services.live.hub import Hub
from services.live.member import Member, VisitMember
from services.live.snapshots import Snapshots
from services.live.visits import CLINIC, PATIENT


class Live:
    """Close every member that was given out."""

    def __init__(self, hub: Hub, snapshots: Snapshots) -> None:
        self._hub = hub
        self._snapshots = snapshots

    async def availability(self, shape: Shape, after: str | None) -> Member:
        """Raises BadInput for ids that name nothing, Unavailable where it can't be told or too much is watched."""
        watched = self._hub.watch(shape)
        try:
            await watched.prepare()
        except BaseException:
            self._hub.discard(watched)
            raise
        return self._hub.member(shape, after)

    async def snapshot(self, shape: Shape, at_least: str | None) -> Snapshot:
        """The open times now, at least as new as that cursor (rule 27): shared with those who watch, else from the database."""
        watched = self._hub.watched(shape)
        if watched is None or not watched.members or not self._hub.trusted:
            return await self._snapshots.read(shape, primary=at_least is not None)
        if self._hub.is_behind_us(watched):
            return await self._snapshots.read(shape, primary=True)  # Who wrote here finds what was written.
        if at_least is not None:
            place = streams.read(at_least)
            known = place is not None and (place.epoch, place.clinic_key) == (self._hub.epoch, shape.clinic_key)
            if place is None or not known or not await self._hub.reached(watched.stream, place):
                return await self._snapshots.read(shape, primary=True)
        member = self._hub.glance(watched)
        try:
            first = await anext(member)
        finally:
            member.close()
        assert isinstance(first, Snapshot)
        return first

    def clinic_day(self, clinic_key: int) -> VisitMember:
        return self._hub.visits.member((CLINIC, clinic_key))

    def patient(self, patient_key: int) -> VisitMember:
        return self._hub.visits.member((PATIENT, patient_key))
