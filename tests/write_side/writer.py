"""A process that appends: so many writers at once, each with a portfolio of its own and one that all share."""

from __future__ import annotations

import asyncio
import sys

from tests.write_side.stores import event_store


async def main(database_url: str, name: str, writers: int, commands: int) -> None:
    """Run the writers to their end."""
    async with event_store(database_url) as one:

        async def write(number: int) -> None:
            own = f"{name}-{number}"
            await one.open(own)
            for count in range(commands):
                await one.move("SHARED" if count % 10 == 0 else own, "1", "1")

        await asyncio.gather(*(write(number) for number in range(writers)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
