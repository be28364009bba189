"""The outbox keeps order and its bound."""

import asyncio

from motorcade.api.outbox import Outbox


def test_the_outbox_keeps_order_and_its_bound() -> None:
    async def main() -> None:
        outbox = Outbox(3)
        assert await outbox.take() == []
        outbox.put(b"before the snapshot", 1)
        outbox.started()
        outbox.put(b"a", 1)
        outbox.put(b"b", 2)
        assert await outbox.take() == [b"a", b"b"]
        outbox.put(b"c", 3)
        outbox.put(b"d", 1)
        outbox.put(b"e", 1)
        assert (await outbox.take(), outbox.overflown) == ([], True)

    asyncio.run(main())
