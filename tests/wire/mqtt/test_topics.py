"""Topic names, filters, shares and the subscription trie, against the standard and each other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motorcade.wire.mqtt.errors import TopicFilterError, TopicNameError
from motorcade.wire.mqtt.reasons import ProtocolLevel
from motorcade.wire.mqtt.topics import (
    SharedFilter,
    check_topic_filter,
    check_topic_name,
    matches,
    split_shared,
)
from motorcade.wire.mqtt.trie import SubscriptionTrie

V5 = ProtocolLevel.V5
level_words = st.sampled_from(["", "a", "b", "$s"])
topics = st.lists(level_words, min_size=1, max_size=4).map("/".join)
plain = st.lists(level_words | st.just("+"), min_size=1, max_size=4).map("/".join)
filters = plain | plain.map(lambda text: text + "/#") | st.just("#")


@pytest.mark.parametrize(
    ("topic_filter", "topic", "expected"),
    [  # the standard's own examples, §4.7.1 and §4.7.2
        ("sport/tennis/player1/#", "sport/tennis/player1", True),
        ("sport/tennis/player1/#", "sport/tennis/player1/ranking", True),
        ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", True),
        ("sport/#", "sport", True),
        ("sport/tennis/+", "sport/tennis/player1/ranking", False),
        ("sport/+", "sport", False),
        ("sport/+", "sport/", True),
        ("+/+", "/finance", True),
        ("/+", "/finance", True),
        ("+", "/finance", False),
        ("#", "$SYS/monitor/Clients", False),
        ("+/monitor/Clients", "$SYS/monitor/Clients", False),
        ("$SYS/#", "$SYS/monitor", True),
        ("$SYS/monitor/+", "$SYS/monitor/Clients", True),
        ("accounts", "ACCOUNTS", False),
        ("a//b", "a/b", False),
    ],
)
def test_matching_as_the_standard_shows_it(topic_filter: str, topic: str, expected: bool) -> None:
    assert matches(topic_filter, topic) is expected


@given(st.lists(filters, max_size=8), topics)
def test_the_trie_finds_what_matching_one_by_one_finds(wanted: list[str], topic: str) -> None:
    trie: SubscriptionTrie[int, str] = SubscriptionTrie()
    for key, topic_filter in enumerate(wanted):
        assert trie.add(topic_filter, key, topic_filter)
    found = sorted(trie.match(topic))
    assert found == [(key, one) for key, one in enumerate(wanted) if matches(one, topic)]


@given(st.lists(filters, max_size=8), st.lists(filters, max_size=8), topics)
def test_a_removed_filter_leaves_nothing_behind(
    kept: list[str], gone: list[str], topic: str
) -> None:
    trie: SubscriptionTrie[str, None] = SubscriptionTrie()
    for topic_filter in kept:
        trie.add(topic_filter, "kept", None)
    before = sorted(trie.match(topic))
    for topic_filter in gone:
        trie.add(topic_filter, "gone", None)
    for topic_filter in set(gone):
        assert trie.remove(topic_filter, "gone")
        assert not trie.remove(topic_filter, "gone")
    assert sorted(trie.match(topic)) == before
    assert len(trie) == len(set(kept))
    for topic_filter in set(kept):
        trie.remove(topic_filter, "kept")
    assert not trie._root.children


def test_adding_again_replaces_the_value_and_says_so() -> None:
    trie: SubscriptionTrie[str, int] = SubscriptionTrie()
    assert trie.add("a/+", "k", 0)
    assert not trie.add("a/+", "k", 1)
    assert list(trie.match("a/b")) == [("k", 1)]
    assert len(trie) == 1


def test_a_topic_of_very_many_levels_is_only_long() -> None:
    trie: SubscriptionTrie[str, int] = SubscriptionTrie()
    deep = "/".join("+" * 30_000)
    trie.add(deep, "k", 1)
    assert list(trie.match("/" * 29_999)) == [("k", 1)]
    assert trie.remove(deep, "k")


def test_a_shared_subscription_comes_in_two_parts() -> None:
    assert split_shared("$share/workers/v/+/telemetry") == SharedFilter("workers", "v/+/telemetry")
    assert split_shared("$share/w//") == SharedFilter("w", "/")
    assert split_shared("$shared/w/a") is None


@pytest.mark.parametrize("bad", ["$share/", "$share/a", "$share/a/", "$share/+/a", "$share/a#/b"])
def test_a_broken_share_is_refused(bad: str) -> None:
    with pytest.raises(TopicFilterError, match=r"4\.8\.2"):
        check_topic_filter(bad, V5)
    check_topic_filter("$share/", ProtocolLevel.V3_1_1)


@pytest.mark.parametrize("bad", ["", "a/+", "#", "a\0b", "ü" * 32_768])
def test_a_broken_topic_name_is_refused(bad: str) -> None:
    with pytest.raises(TopicNameError):
        check_topic_name(bad)


def test_the_longest_topic_name_is_taken() -> None:
    check_topic_name("a" * 65_535)
    check_topic_filter("a" * 65_535, V5)
    with pytest.raises(TopicFilterError, match=r"4\.7\.3-3"):
        check_topic_filter("a" * 65_536, V5)
