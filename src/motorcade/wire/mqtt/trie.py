"""Which subscriptions want a topic, among very many: a trie over the levels of their filters.

The cost of `match` is bounded by the filters that agree with the topic so far, not by all of them,
and by no recursion, so a topic of 30,000 levels is only long.
"""

from collections.abc import Hashable, Iterator
from typing import Final, Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")

_WILDCARDS: Final = ("+", "#")


class _Node(Generic[Key, Value]):
    __slots__ = ("children", "values")

    def __init__(self) -> None:
        self.children: dict[str, _Node[Key, Value]] = {}
        self.values: dict[Key, Value] = {}


class SubscriptionTrie(Generic[Key, Value]):
    """Filters with a value per (filter, key). The filters are valid and not shared (`topics.py`);
    whoever shares puts the share name into the key."""

    def __init__(self) -> None:
        self._root: _Node[Key, Value] = _Node()
        self._size = 0

    def __len__(self) -> int:
        """Number of (filter, key) pairs."""
        return self._size

    def add(self, topic_filter: str, key: Key, value: Value) -> bool:
        """Set the value for (filter, key). True if the pair is new [MQTT-3.8.4-3]."""
        node = self._root
        for level in topic_filter.split("/"):
            child = node.children.get(level)
            if child is None:
                child = node.children[level] = _Node()
            node = child
        new = key not in node.values
        node.values[key] = value
        self._size += new
        return new

    def remove(self, topic_filter: str, key: Key) -> bool:
        """Forget (filter, key) and the nodes that only it needed. False if it was not there."""
        path: list[tuple[_Node[Key, Value], str]] = []
        node = self._root
        for level in topic_filter.split("/"):
            child = node.children.get(level)
            if child is None:
                return False
            path.append((node, level))
            node = child
        if key not in node.values:
            return False
        del node.values[key]
        self._size -= 1
        for parent, level in reversed(path):
            child = parent.children[level]
            if child.values or child.children:
                break
            del parent.children[level]
        return True

    def match(self, topic: str) -> Iterator[tuple[Key, Value]]:
        """Every (key, value) whose filter matches; a key comes once per matching filter."""
        nodes = [self._root]
        hidden = topic.startswith("$")  # first-level wildcards do not see it [MQTT-4.7.2-1]
        for depth, level in enumerate(topic.split("/")):
            wildcards = not (hidden and depth == 0)
            following: list[_Node[Key, Value]] = []
            for node in nodes:
                children = node.children
                if wildcards:
                    if (rest := children.get("#")) is not None:
                        yield from rest.values.items()
                    if (one := children.get("+")) is not None:
                        following.append(one)
                if level not in _WILDCARDS and (exact := children.get(level)) is not None:
                    following.append(exact)
            nodes = following
            if not nodes:
                return
        for node in nodes:
            yield from node.values.items()
            if (rest := node.children.get("#")) is not None:  # `a/#` matches `a` too
                yield from rest.values.items()
