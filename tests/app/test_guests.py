"""Long connections are asked to leave within the time there is, whatever their leaving costs."""

import asyncio
import time

from app.live.guests import Guests


async def test_all_are_asked_in_time_though_each_costs_time() -> None:
    guests, loop, asked, cost, count = Guests(), asyncio.get_running_loop(), list[float](), 0.002, 1000

    def leave() -> None:
        asked.append(loop.time())
        loop.call_soon(time.sleep, cost)  # what its connection has to do then

    stays = [guests.staying(leave) for _ in range(count)]
    for one in stays:
        one.__enter__()
    began = loop.time()
    await guests.leave(0.2)
    assert len(asked) == count
    assert asked[-1] - began < cost * count / 2


async def test_they_leave_one_after_another() -> None:
    guests, loop, asked = Guests(), asyncio.get_running_loop(), list[float]()
    stays = [guests.staying(lambda: asked.append(loop.time())) for _ in range(50)]
    for one in stays:
        one.__enter__()
    await guests.leave(10)
    assert len(asked) == 50
    assert asked[-1] - asked[0] > 0.4
    assert asked[24] - asked[0] > 0.15
