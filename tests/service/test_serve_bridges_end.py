"""Bridges end when they are told to, whatever goes wrong meanwhile."""

import asyncio
from contextlib import suppress

from geoloc.service.serve.bridges.bridge import keep_running


class Failing:
    """A bridge in which two things go wrong as it is cancelled: that hides that it was."""

    name = "failing"
    connected = True

    def __init__(self) -> None:
        self.begun = 0

    async def run(self) -> None:
        self.begun += 1
        async with asyncio.TaskGroup() as group:
            group.create_task(self._falls_over())

    async def _falls_over(self) -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            raise ConnectionError("the line is dead") from None


def test_a_bridge_that_fails_as_it_is_cancelled_ends_and_does_not_begin_anew():
    async def ends() -> bool:
        bridge = Failing()
        task = asyncio.create_task(keep_running(bridge))
        while not bridge.begun:
            await asyncio.sleep(0)
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=10)
        if not done:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        return bool(done) and bridge.begun == 1

    assert asyncio.run(ends())
