"""Spans from the log's records: the whole road of a command, and what is missing when it ends."""

import json

import pytest

from motorcade.events import Record, Topic, make_token
from motorcade.traces.spans import CommandSpans, Span, command_trace, record_trace
from motorcade.wire.command.answers import write_up
from motorcade.wire.command.messages import Answer
from motorcade.wire.command.records import HANDED_OVER, TRANSITION, Transition, write_record

ID = "066121b2c3e99d057804584b236a4b54"
TOKEN = make_token(bytes(range(16)))


def transition(state: str, time_us: int, *, name: str = "", reason: str = "") -> Record:
    payload = write_record(
        Transition(id=ID, state=state, time_us=time_us, name=name, reason=reason)
    )
    return Record(
        TOKEN, Topic.COMMANDS, payload, time_us, time_us, name=TRANSITION, stream=ID.encode()
    )


def notice(time_us: int) -> Record:
    answers = Topic.COMMAND_ANSWERS
    return Record(TOKEN, answers, b"", time_us, time_us, name=HANDED_OVER, stream=ID.encode())


def answer(time_us: int) -> Record:
    payload = write_up(Answer(id=ID, state="executed", time_us=time_us, reason=""))
    return Record(TOKEN, Topic.COMMAND_ANSWERS, payload, time_us, time_us)


def spans(*records: Record) -> dict[str, Span]:
    made = CommandSpans()
    found = [span for record in records for span in made.add(record)]
    return {span.name: span for span in [*found, *made.caught_up()]}


def test_a_command_that_was_executed_is_traced_along_the_whole_road() -> None:
    road = (
        transition("requested", 10, name="honk_horn"),
        notice(20),
        transition("handed_over", 21),
        answer(50),
        transition("executed", 60),
    )
    found = spans(*road)
    assert {name: (span.start_us, span.end_us) for name, span in found.items()} == {
        "command honk_horn": (10, 60),
        "router, log and gateway": (10, 20),
        "vehicle": (20, 50),
        "answer, log and router": (50, 60),
    }
    root = found["command honk_horn"]
    assert f"{root.trace_id:032x}" == ID
    assert (root.parent_id, root.error) == (None, "")
    assert {span.trace_id for span in found.values()} == {root.trace_id}
    children = [span for span in found.values() if span is not root]
    assert {span.parent_id for span in children} == {root.span_id}
    assert len({span.span_id for span in found.values()}) == 4


ROAD = {
    "requested": transition("requested", 10, name="honk_horn"),
    "notice": notice(20),
    "handed_over": transition("handed_over", 21),
    "answer": answer(50),
    "executed": transition("executed", 60),
}


@pytest.mark.parametrize(
    "order",
    [
        ("requested", "handed_over", "executed", "notice", "answer"),
        ("requested", "notice", "handed_over", "executed", "answer"),
        ("requested", "handed_over", "executed", "answer", "notice"),
    ],
)
def test_a_reader_that_comes_to_the_end_before_the_answer_loses_no_span(
    order: tuple[str, ...],
) -> None:
    """Router and gateway write different lanes; a reader may look at either first."""
    assert spans(*(ROAD[word] for word in order)) == spans(*ROAD.values())


def test_a_command_is_told_once_and_as_soon_as_its_road_is_whole() -> None:
    made = CommandSpans()
    for word in ("requested", "notice", "handed_over", "executed"):
        assert list(made.add(ROAD[word])) == []
    assert made.waiting
    assert len(list(made.add(ROAD["answer"]))) == 4
    assert not made.waiting
    assert list(made.caught_up()) == []
    assert list(made.add(ROAD["answer"])) == []


def test_a_command_that_never_arrived_has_its_reason_and_no_vehicle() -> None:
    found = spans(
        transition("requested", 10, name="honk_horn"),
        transition("expired", 40, reason="vehicle_offline"),
    )
    assert [(name, span.error) for name, span in found.items()] == [
        ("command honk_horn", "vehicle_offline")
    ]


def test_news_of_commands_that_were_not_seen_from_the_start_make_no_spans() -> None:
    assert spans(notice(20), answer(50), transition("executed", 60)) == {}


@pytest.mark.parametrize("words", ["", "xyz", "g" * 32, ID[:-1]])
def test_other_ids_make_no_trace(words: str) -> None:
    assert command_trace(words) is None


def test_a_records_trace_is_its_place() -> None:
    places = [("gateway", 1, 0, 0), ("gateway", 1, 0, 1), ("gateway", 1, 1, 0), ("api", 1, 0, 0)]
    assert len({record_trace(*place) for place in places}) == len(places)
    assert record_trace(*places[0]) == record_trace(*places[0])
    assert json.dumps(record_trace(*places[0]))
