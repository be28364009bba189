"""The JSON kernel against the plain rules, bit by bit: sound, odd, hostile and broken documents."""

import copy
import functools
import json

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from motorcade.events import Encoding, Flags, Record
from motorcade.signals.decoder import Decoder
from motorcade.signals.errors import MalformedPayloadError
from motorcade.signals.json.kernels import read_value
from motorcade.signals.plain import Columns, PlainRules, Row
from motorcade.signals.samples import Dictionary, SampleBatch, unbox
from tests.signals.batches import FUTURE_US, RECEIVED_US, decode, decoder, record

NAMES = ["soc", "gear", "locked", "vehicle_speed", "software_version", "charge_state"]
NAMES += ["own", "Other", "latitude", "online", "ü", 'quo"te', ""]
TEACH = json.dumps({"signals": dict.fromkeys(NAMES, 1)}).encode()
Seen = tuple[list[tuple[int, int, int, str]], tuple[int, int, int, int]]


def seen(samples: SampleBatch) -> list[tuple[int, int, int, str]]:
    """(slot, time, signal, value told apart to the bit) of every sample."""
    bits = samples.value.view(np.uint64).tolist()
    return [
        (slot, time_us, signal, held if isinstance(held, str) else hex(raw))
        for slot, time_us, signal, raw, held in zip(
            samples.vehicle.tolist(),
            samples.time_us.tolist(),
            samples.signal.tolist(),
            bits,
            (unbox(value, samples.texts) for value in samples.value.tolist()),
            strict=True,
        )
    ]


def by_kernel(documents: list[bytes], flags: Flags = Flags.TIME_GIVEN) -> Seen:
    fresh = copy.deepcopy(_taught())
    records = [record(document, Encoding.JSON_SIGNALS, flags=flags) for document in documents]
    samples = decode(fresh, *records)
    counts = fresh.counts
    told = (counts.malformed_records, counts.rejected_values, counts.bounded_times)
    return seen(samples), (*told, fresh.dictionary.refused)


@functools.cache
def _taught() -> Decoder:
    taught = decoder()
    decode(taught, record(TEACH, Encoding.JSON_SIGNALS))
    return taught


def by_plain_rules(documents: list[bytes], flags: Flags = Flags.TIME_GIVEN) -> Seen:
    names = Dictionary(names_per_vehicle_max=100, text_bytes_max=1_024)
    rules = PlainRules(names, np.zeros(1_024, np.int32), future_us_max=FUTURE_US)
    bounded = Flags.TIME_BOUNDED in flags
    rules.read_json(Row(0, RECEIVED_US, RECEIVED_US, False), TEACH)
    rules.columns = columns = Columns()
    slots: list[int] = []
    for slot, document in enumerate(documents):
        try:
            rules.read_json(Row(slot, RECEIVED_US, RECEIVED_US, bounded), document)
        except MalformedPayloadError:
            rules.counts.malformed_records += 1
        slots += [slot] * (len(columns) - len(slots))
    samples = SampleBatch(
        np.array(slots, np.int32),
        np.array(columns.time_us, np.int64),
        np.array(columns.signal, np.int32),
        np.array(columns.value, np.float64),
        columns.texts,
    )
    counts = rules.counts
    told = (counts.malformed_records, counts.rejected_values, counts.bounded_times)
    return seen(samples), (*told, names.refused)


numbers = (
    st.integers(-(1 << 60), 1 << 60).map(str)
    | st.floats(allow_nan=False, allow_infinity=False).map(repr)
    | st.floats(-180, 180).map(repr)
    | st.from_regex(r"-?[0-9]{1,20}(\.[0-9]{0,20})?([eE][+-]?[0-9]{0,4})?", fullmatch=True)
)
values = (
    numbers
    | st.sampled_from(["true", "false", "null", '"D"', '"ShiftStateD"', '"12"', '"true"', '"x"'])
    | st.sampled_from(["[1]", '{"a": 1}', "nul", "True", "1.", ".5", "+1", "01", "-", "1 2", ""])
    | st.text(max_size=5).map(json.dumps)
    | st.text(max_size=5).map(lambda text: json.dumps(text, ensure_ascii=False))
)
times = (
    st.sampled_from([0, 5, RECEIVED_US, RECEIVED_US + FUTURE_US, RECEIVED_US + FUTURE_US + 1])
    | st.integers(0, 1 << 64)
).map(str) | st.sampled_from(["null", "-1", "1.5", "1e3", '"5"', "true", "00", "[]", "007"])
spaces = st.sampled_from(["", "", "", " ", "\n\t", "\r  "])


@st.composite
def elements(draw: st.DrawFn) -> str:
    """An object that is nearly always sound, in any order and spacing."""
    pairs = draw(st.lists(st.tuples(st.sampled_from(NAMES), values), max_size=5))
    gap = draw(spaces)
    signals = ",".join(
        f"{gap}{json.dumps(name, ensure_ascii=False)}{gap}:{gap}{value}{gap}"
        for name, value in pairs
    )
    members = [f'{gap}"signals"{gap}:{gap}{{{signals}{gap}}}']
    if draw(st.booleans()):
        members.append(f'"time_us":{gap}{draw(times)}{gap}')
    if draw(st.integers(0, 9)) == 0:
        members.append(draw(st.sampled_from(['"more":[{}]', '"signals":{}', '"time_us":1', ""])))
    return "{" + ",".join(draw(st.permutations(members))) + gap + "}"


documents = (
    elements()
    | st.lists(elements(), max_size=4).map(lambda several: "[" + ", ".join(several) + "]")
).map(str.encode)


@st.composite
def broken(draw: st.DrawFn) -> bytes:
    """A document with a byte put in, changed or cut off."""
    document = bytearray(draw(documents))
    at = draw(st.integers(0, max(len(document) - 1, 0)))
    byte = draw(st.sampled_from(list(b'{}[]",:\\ 0e.-x\x00\x7f\xc3')))
    kind = draw(st.integers(0, 2))
    if kind == 0:
        document[at:at] = bytes([byte])
    elif kind == 1 and document:
        document[at] = byte
    else:
        del document[at:]
    return bytes(document)


@given(st.lists(documents, max_size=4))
@example([b'{"signals":{"own":true,"locked":true,"gear":"D","soc":-0,"own":-0.0}}'])
@example([b'{"signals":{"own":-0.0}}', b'{"signals":{"own":false,"soc":1e22}}', b"[]", b" [ ] "])
@settings(max_examples=300)
def test_kernel_equals_plain_rules(given_documents: list[bytes]) -> None:
    assert by_kernel(given_documents) == by_plain_rules(given_documents)


@given(st.lists(broken(), max_size=4))
@settings(max_examples=300)
def test_kernel_equals_plain_rules_on_broken_documents(given_documents: list[bytes]) -> None:
    assert by_kernel(given_documents) == by_plain_rules(given_documents)


@given(documents)
def test_kernel_equals_plain_rules_when_the_door_replaced_the_time(document: bytes) -> None:
    flags = Flags.TIME_GIVEN | Flags.TIME_BOUNDED
    assert by_kernel([document], flags) == by_plain_rules([document], flags)


def test_more_names_than_are_compared_with_each_other() -> None:
    pairs = ",".join(f'"own":{number}' for number in range(300))
    many = [f'{{"signals":{{{pairs}}}}}'.encode()]
    assert by_kernel(many) == by_plain_rules(many)
    assert len(by_kernel(many)[0]) == 1  # JSON's last one wins


def test_plain_documents_never_leave_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = decoder()
    decode(fresh, record(TEACH, Encoding.JSON_SIGNALS))

    def refuse(rules: PlainRules, row: Row, payload: bytes) -> None:
        raise AssertionError(f"{payload!r} took the slow road")

    monkeypatch.setattr(PlainRules, "read_json", refuse)
    body = {
        "time_us": RECEIVED_US,
        "signals": {"soc": 81.25, "latitude": 48.137154321098765, "gear": "D", "locked": True},
    }
    other = {"signals": {"own": None, "Other": "free text", "vehicle_speed": -0.1}}
    several = [body, other, {"signals": {}}]
    records = [json_record(body), json_record(several), json_record([])]
    assert len(decode(fresh, *records)) == 4 + 7


def json_record(body: object) -> Record:
    return record(json.dumps(body).encode(), Encoding.JSON_SIGNALS)


def test_names_are_known_to_the_kernel_from_the_next_batch_on_and_after_a_restore() -> None:
    fresh, restored = decoder(), decoder()
    body = json_record({"signals": {f"name_{number}": number for number in range(90)}})
    first = seen(decode(fresh, body))
    restored.dictionary.restore(fresh.dictionary.snapshot())
    restored.learn()
    assert first == seen(decode(fresh, body)) == seen(decode(restored, body))


def test_a_document_that_ends_before_a_value_is_not_read_beyond() -> None:
    """Found by fuzzing: compiled, the byte behind the buffer was looked at."""
    nothing = np.zeros(0, np.uint8)
    assert read_value.py_func(nothing, 0, 0, 0, 0, (nothing, nothing))[0] == -1
