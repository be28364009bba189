"""Which topics a filter asks for, among very many: a tree over the levels of topic names.

The mirror of `trie.py`, for retained messages: there a topic asks for filters. The cost of `match`
is bounded by the topics that agree with the filter so far.
"""

from collections.abc import Iterator
from typing import Final, Generic, TypeVar

Value = TypeVar("Value")

_NOTHING: Final = object()


class _Node(Generic[Value]):
    __slots__ = ("children", "value")

    def __init__(self) -> None:
        self.children: dict[str, _Node[Value]] = {}
        self.value: Value | object = _NOTHING


class TopicTree(Generic[Value]):
    """A value per topic name. The names and filters are valid and not shared (`topics.py`)."""

    def __init__(self) -> None:
        self._root: _Node[Value] = _Node()

    def put(self, topic: str, value: Value) -> None:
        """Set the value of a topic."""
        node = self._root
        for level in topic.split("/"):
            child = node.children.get(level)
            if child is None:
                child = node.children[level] = _Node()
            node = child
        node.value = value

    def remove(self, topic: str) -> None:
        """Forget a topic and the nodes that only it needed; nothing happens if it is not there."""
        path: list[tuple[_Node[Value], str]] = []
        node = self._root
        for level in topic.split("/"):
            child = node.children.get(level)
            if child is None:
                return
            path.append((node, level))
            node = child
        node.value = _NOTHING
        for parent, level in reversed(path):
            child = parent.children[level]
            if child.children or child.value is not _NOTHING:
                break
            del parent.children[level]

    def match(self, topic_filter: str) -> Iterator[Value]:
        """The values of all topics that the filter matches; change nothing meanwhile."""
        nodes = [self._root]
        for depth, level in enumerate(topic_filter.split("/")):
            hides = depth == 0  # first-level wildcards do not see `$` topics [MQTT-4.7.2-1]
            if level == "#":
                for node in nodes:
                    yield from _below(node, hides)
                return
            following: list[_Node[Value]] = []
            for node in nodes:
                if level == "+":
                    following += _children(node, hides)
                elif (child := node.children.get(level)) is not None:
                    following.append(child)
            nodes = following
        for node in nodes:
            if node.value is not _NOTHING:
                yield node.value  # type: ignore[misc]


def _children(node: _Node[Value], hides: bool) -> list[_Node[Value]]:
    return [
        child for level, child in node.children.items() if not (hides and level.startswith("$"))
    ]


def _below(node: _Node[Value], hides: bool) -> Iterator[Value]:
    """All values at and below a node: `a/#` matches `a` too."""
    waiting = [node]
    while waiting:
        node = waiting.pop()
        if node.value is not _NOTHING:
            yield node.value  # type: ignore[misc]
        waiting += _children(node, hides)
        hides = False
