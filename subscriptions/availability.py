"""The open times of a clinic as they change. Public, and the same for everybody who asks the same."""

from collections.abc import AsyncGenerator
from contextlib import closing

from domain.frames import Frame
from resolvers.clinics import shape_of
from resolvers.context import Info
from resolvers.inputs import AvailabilityFilter
from resolvers.values import StreamCursor


async def availability(
    info: Info, filter: AvailabilityFilter, after: StreamCursor | None = None
) -> AsyncGenerator[Frame, None]:
    with closing(await info.context.services.live.availability(shape_of(filter), after)) as watch:
        async for frame in watch:
            yield frame
