"""The tree of topics finds what `topics.matches` says, whatever was put and removed."""

from hypothesis import given
from hypothesis import strategies as st

from motorcade.wire.mqtt.topic_tree import TopicTree
from motorcade.wire.mqtt.topics import matches

levels = st.sampled_from(["a", "b", "", "$x"])
topics = st.lists(levels, min_size=1, max_size=4).map("/".join).filter(bool)
filters = st.builds(
    lambda parts, deep: "/".join([*parts, "#"] if deep or not parts else parts),
    st.lists(st.sampled_from(["a", "b", "", "$x", "+"]), max_size=4),
    st.booleans(),
).filter(bool)


@given(st.lists(topics), st.lists(topics), filters)
def test_what_is_there_and_matches_is_found(
    put: list[str], removed: list[str], wanted: str
) -> None:
    tree: TopicTree[str] = TopicTree()
    for topic in put:
        tree.put(topic, topic)
    for topic in removed:
        tree.remove(topic)
    left = set(put) - set(removed)
    found = list(tree.match(wanted))
    assert sorted(found) == sorted(topic for topic in left if matches(wanted, topic))


def test_nothing_is_left_behind() -> None:
    tree: TopicTree[int] = TopicTree()
    tree.put("a/b/c", 1)
    tree.put("a", 2)
    tree.remove("a/b/c")
    tree.remove("nothing/here")
    assert list(tree.match("#")) == [2]
    assert not tree._root.children["a"].children
