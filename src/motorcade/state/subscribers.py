"""Who wants to hear of which vehicle. Slots come later than subscriptions: a vehicle may be new."""

import itertools
from collections.abc import Callable, Iterable, Sequence

from motorcade.state.port import Callback, Change, Handle

PackedToken = tuple[int, int]


class Subscribers:
    """Callbacks by slot. All methods but `notify` are called inside the gate."""

    def __init__(self) -> None:
        self._handles = itertools.count(1)
        self._tokens: dict[Handle, PackedToken] = {}
        self._callbacks: dict[PackedToken, dict[Handle, Callback]] = {}
        self._slots: dict[PackedToken, int] = {}
        self._tokens_of_slot: dict[int, PackedToken] = {}

    def add(self, token: PackedToken, slot: int, callback: Callback) -> Handle:
        """`slot` is -1 when the vehicle has none yet."""
        handle = Handle(next(self._handles))
        self._tokens[handle] = token
        self._callbacks.setdefault(token, {})[handle] = callback
        if slot >= 0:
            self._bind(token, slot)
        return handle

    def remove(self, handle: Handle) -> int:
        """The slot that nobody watches any more, -1 if there is none such."""
        token = self._tokens.pop(handle, None)
        if token is None:
            return -1
        callbacks = self._callbacks[token]
        del callbacks[handle]
        if callbacks:
            return -1
        del self._callbacks[token]
        slot = self._slots.pop(token, -1)
        self._tokens_of_slot.pop(slot, None)
        return slot

    def bind_new(self, find: Callable[[int, int], int]) -> list[int]:
        """After vehicles were added: the slots that somebody has been waiting for."""
        waiting = [token for token in self._callbacks if token not in self._slots]
        found = [(token, find(*token)) for token in waiting]
        for token, slot in found:
            if slot >= 0:
                self._bind(token, slot)
        return [slot for _, slot in found if slot >= 0]

    def _bind(self, token: PackedToken, slot: int) -> None:
        self._slots[token] = slot
        self._tokens_of_slot[slot] = token

    def watched(self) -> Iterable[int]:
        """Every slot that somebody watches."""
        return self._slots.values()

    def unbind_all(self) -> None:
        """Forget the slots, not the subscriptions: the slot table is another one."""
        self._slots.clear()
        self._tokens_of_slot.clear()

    def callbacks_of(self, slot: int) -> list[Callback]:
        token = self._tokens_of_slot.get(slot)
        return [] if token is None else list(self._callbacks.get(token, {}).values())


def notify(callbacks: Iterable[Callback], changes: Sequence[Change]) -> None:
    """Outside the gate, so that a callback may read."""
    for callback in callbacks:
        callback(changes)
