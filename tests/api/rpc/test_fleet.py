"""gRPC by grpcio's own client: the rights of each method, streams, commands, samples."""

import asyncio
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from google.protobuf import descriptor_pb2
from grpc import StatusCode
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from motorcade.api.errors import ApiError
from motorcade.api.rates import Rates
from motorcade.api.rights import RPCS, Right
from motorcade.api.rpc.fleet import Fleet
from motorcade.api.rpc.publishing import SampleLane
from motorcade.api.sight import LOCATION_SIGNALS
from motorcade.commands.port import CommandView, Step
from motorcade.commands.states import State
from motorcade.events import Encoding, Flags, Topic
from motorcade.identity.port import AccessToken
from motorcade.identity.scopes import APP_SCOPES, SCOPES
from motorcade.log.errors import LogFullError, LogWriteError
from motorcade.log.port import Edge
from motorcade.signals import packed
from motorcade.state.port import VehicleState
from motorcade.streams.dedup import Dedup
from motorcade.wire.rpc.proto import RetryInfo, Status, message_class
from motorcade.wire.rpc.schema import METHODS, SERVICE
from tests.api.standins import TOKENS, VINS, Platform, executes, running

REQUESTED, HANDED_OVER, EXECUTED = State.REQUESTED, State.HANDED_OVER, State.EXECUTED
EVERYTHING = tuple(SCOPES)
ASKED: dict[str, dict[str, Any]] = {
    "StreamState": {"vehicle": VINS[0]},
    "SendCommand": {"vehicle": VINS[0], "name": "honk_horn"},
    "PublishSamples": {"vehicle": VINS[0], "samples": [{"signal": "soc", "number": 50.0}]},
}


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    settings = (
        *("commands.response_s_max=0.3", "rpc.health_poll_s=0.05", "rpc.samples_max=20"),
        *("rpc.request_bytes_max=2000", "rates.commands_per_minute=30"),
        "api.stream_queue_changes_max=50",
    )
    with running(tmp_path_factory.mktemp("rpc"), *settings, rpc=True) as platform:
        yield platform


@pytest.fixture(autouse=True)
def fresh(platform: Platform) -> None:
    platform.live.states[TOKENS[0]] = VehicleState({}, True, 7)
    platform.counter.rates = Rates(platform.config.rates)
    platform.tokens.clients.clear()
    platform.gateway.script, platform.gateway.online = executes, True


@pytest.fixture
def channel(platform: Platform) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(f"127.0.0.1:{platform.rpc_port}") as channel:
        yield channel


def metadata(subject: str = "owner", *scopes: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {subject}:{'+'.join(scopes or EVERYTHING)}"),)


def call(channel: grpc.Channel, name: str, asked: Any = None, /, **options: Any) -> Any:
    """A call by the method's row, its answers read one by one."""
    (row,) = (method for method in METHODS if method.name == name)
    options.setdefault("metadata", metadata())
    options.setdefault("timeout", 20)
    kind = message_class(row.asks)
    read = message_class(row.answers).FromString
    write = kind.SerializeToString
    if row.streams_in:
        asked = iter([kind(**ASKED[name])]) if asked is None else asked
        return channel.stream_stream(row.path, write, read)(asked, **options)
    asked = kind(**(ASKED[name] if asked is None else asked))
    return channel.unary_stream(row.path, write, read)(asked, **options)


def refusal(answers: Any) -> grpc.RpcError:
    """What ends the call, behind whatever it said before."""
    with pytest.raises(grpc.RpcError) as raised:
        list(answers)
    return raised.value


def batch(sequence: int = 0, stream: str = "", vehicle: str = VINS[0], **sample: Any) -> Any:
    sample = sample or {"signal": "soc", "number": float(sequence)}
    kind = message_class("SampleBatch")
    return kind(vehicle=vehicle, stream=stream, sequence=sequence, samples=[sample])


# --- rights --------------------------------------------------------------------------------------


def test_every_method_has_a_row_and_every_row_a_method() -> None:
    assert {row.path for row in RPCS} == {method.path for method in METHODS}


@pytest.mark.parametrize("row", RPCS, ids=lambda row: row.path)
def test_each_scope_opens_its_methods_and_no_other(channel: grpc.Channel, row: Right) -> None:
    name = row.path.rpartition("/")[2]
    for scope in SCOPES:
        answers = call(channel, name, metadata=metadata("owner", scope))
        own = ("vehicle_cmds",) if name == "SendCommand" else row.scopes  # the horn's own
        if scope in own:
            next(answers)
            answers.cancel()
            continue
        error = refusal(answers)
        assert error.code() is StatusCode.PERMISSION_DENIED, scope
        assert error.details().startswith("Unauthorized missing scopes"), scope


@pytest.mark.parametrize("name", ASKED)
def test_without_a_token_nobody_comes_in(channel: grpc.Channel, name: str) -> None:
    for given, text in (
        ((), "bearer token missing"),
        ((("authorization", "Basic eA=="),), "bearer token missing"),
        ((("authorization", "Bearer nobody"),), "bearer token missing"),
        ((("authorization", "Bearer owner:metrics:expired"),), "token expired (401)"),
    ):
        error = refusal(call(channel, name, metadata=given))
        assert error.code() is StatusCode.UNAUTHENTICATED
        assert text in error.details()


@pytest.mark.parametrize("name", ASKED)
def test_anothers_vehicle_is_not_there(channel: grpc.Channel, name: str) -> None:
    error = refusal(call(channel, name, metadata=metadata("stranger", *EVERYTHING)))
    assert (error.code(), error.details()) == (
        StatusCode.NOT_FOUND,
        "not_found: no such vehicle, or not yours",
    )


@pytest.mark.parametrize("name", ASKED)
def test_an_apps_own_token_is_of_the_wrong_kind(channel: grpc.Channel, name: str) -> None:
    error = refusal(call(channel, name, metadata=metadata("test", *EVERYTHING)))
    assert error.code() is StatusCode.PERMISSION_DENIED
    assert error.details().startswith("Unauthorized token type")


def test_no_app_can_be_given_the_scope_of_publishing() -> None:
    assert "publish_samples" not in APP_SCOPES


def test_one_too_many_says_when_to_try_again(platform: Platform, channel: grpc.Channel) -> None:
    counted = dict(platform.counter.calls.counts)
    codes = []
    for _ in range(31):
        answers = call(channel, "SendCommand")
        try:
            list(answers)
            codes.append(StatusCode.OK)
        except grpc.RpcError as error:
            codes.append(error.code())
            refused = error
    assert codes[:30] == [StatusCode.OK] * 30
    assert codes[30] is StatusCode.RESOURCE_EXHAUSTED
    calls = platform.counter.calls.counts
    assert calls["ok"] - counted.get("ok", 0) == 30
    assert calls["resource_exhausted"] - counted.get("resource_exhausted", 0) == 1
    assert "at most 30 commands of this vehicle in a minute" in refused.details()
    trailer = dict(refused.trailing_metadata())
    assert 1 <= int(trailer["retry-after"]) <= 2
    status = Status.FromString(trailer["grpc-status-details-bin"])
    retry = RetryInfo.FromString(status.details[0].value)
    assert retry.retry_delay.seconds == int(trailer["retry-after"])


# --- StreamState ---------------------------------------------------------------------------------


def test_a_snapshot_then_changes_then_where_it_was(
    platform: Platform, channel: grpc.Channel
) -> None:
    platform.live.change(TOKENS[0], soc=80.0, gear="D", locked=True, nothing=None)
    answers = call(channel, "StreamState")
    snapshot = next(answers).snapshot
    assert (snapshot.vehicle.vin, snapshot.vehicle.state) == (VINS[0], "online")
    told = {s.name: s for s in snapshot.signals}
    assert told["soc"].number == 80.0
    assert told["gear"].text == "D"
    assert told["locked"].truth is True
    assert told["nothing"].WhichOneof("value") is None
    platform.live.change(TOKENS[0], soc=81.0)
    frame = next(answers)
    assert [(s.name, s.number, s.time_us) for s in frame.signals.signals] == [("soc", 81.0, 5)]
    platform.live.change(TOKENS[0], online=False)
    assert next(answers).presence.state == "offline"
    answers.cancel()
    platform.live.change(TOKENS[0], soc=82.0)
    again = call(channel, "StreamState", {"vehicle": VINS[0], "resume": frame.resume})
    assert next(again).presence.state == "offline"
    assert [s.number for s in next(again).signals.signals] == [82.0]
    again.cancel()


def test_a_websockets_token_gives_a_snapshot_of_messages(
    platform: Platform, channel: grpc.Channel
) -> None:
    from websockets.sync.client import connect

    url = f"{platform.ws_url}/api/1/vehicles/{VINS[0]}/stream"
    with connect(url, additional_headers=dict([_header()]), proxy=None) as socket:
        socket.recv(timeout=10)
        platform.live.change(TOKENS[0], soc=1.0)
        resume = httpx.Response(200, content=socket.recv(timeout=10)).json()["resume"]
        platform.live.change(TOKENS[0], soc=2.0)  # goes to the WebSocket, and again if it fits
        socket.recv(timeout=10)
        answers = call(channel, "StreamState", {"vehicle": VINS[0], "resume": resume})
        assert next(answers).WhichOneof("body") == "snapshot"
        answers.cancel()


def _header() -> tuple[str, str]:
    ((name, value),) = metadata()
    return name.title(), value


def test_location_needs_its_scope(platform: Platform, channel: grpc.Channel) -> None:
    platform.live.change(TOKENS[0], soc=80.0, latitude=52.5, location_latitude=52.5)
    hidden = sorted(LOCATION_SIGNALS)[0]
    platform.live.change(TOKENS[0], **{hidden: 1.0})
    for scopes, shown in (
        (("vehicle_device_data",), False),
        (("vehicle_device_data", "vehicle_location"), True),
    ):
        answers = call(channel, "StreamState", metadata=metadata("owner", *scopes))
        names = {s.name for s in next(answers).snapshot.signals}
        assert (hidden in names) is shown
        platform.live.change(TOKENS[0], soc=81.0, **{hidden: 2.0})
        changed = {s.name for s in next(answers).signals.signals}
        assert changed == ({"soc", hidden} if shown else {"soc"})
        answers.cancel()


def test_inside_a_privacy_zone_no_frame_tells_a_place(
    platform: Platform, channel: grpc.Channel
) -> None:
    car_id, away, home = 1_000, (1.0, 1.0), (2.0, 2.0)
    privacy = platform.registry.privacy

    def go(place: tuple[float, float], **further: float) -> None:
        platform.live.change(TOKENS[0], latitude=place[0], longitude=place[1], **further)

    def told(signals: Any) -> dict[str, float]:
        return {s.name: s.number for s in signals}

    zone = privacy.add_zone(car_id, "home", *home, 100.0)
    try:
        go(away)
        answers = call(channel, "StreamState")
        assert told(next(answers).snapshot.signals)["latitude"] == 1.0
        go(home, soc=5.0)
        shut = next(answers).snapshot  # at a zone's edge all is told anew
        assert told(shut.signals)["soc"] == 5.0
        assert not {"latitude", "longitude"} & told(shut.signals).keys()
        go((2.0001, 2.0), soc=6.0)
        inside = next(answers)
        assert told(inside.signals.signals) == {"soc": 6.0}
        answers.cancel()
        again = call(channel, "StreamState", {"vehicle": VINS[0], "resume": inside.resume})
        go((2.0002, 2.0), soc=7.0)
        assert told(next(again).signals.signals) == {"soc": 7.0}
        go(away)
        assert told(next(again).snapshot.signals)["latitude"] == 1.0
        again.cancel()
    finally:
        privacy.remove_zone(car_id, zone.id)


def revoke_all(platform: Platform) -> None:
    """What a forgotten key does: every watched token may be good no more."""
    generation = platform.counter.standing._generation + 1
    platform.tokens.generation = lambda: generation  # type: ignore[method-assign]
    platform.call(platform.counter.standing._look_at_keys)


def test_a_revocation_ends_every_call_at_once(platform: Platform, channel: grpc.Channel) -> None:
    platform.gateway.online = False  # the command stays open
    stop = threading.Event()

    def batches() -> Iterator[Any]:
        yield batch()
        stop.wait(20)

    calls = [
        call(channel, "StreamState"),
        call(channel, "SendCommand"),
        call(channel, "PublishSamples", batches()),
    ]
    for answers in calls:
        next(answers)
    begun_s = time.monotonic()
    revoke_all(platform)
    for answers in calls:
        error = refusal(answers)
        assert (error.code(), error.details()) == (StatusCode.UNAUTHENTICATED, "login_required")
    assert time.monotonic() - begun_s < 2
    stop.set()
    assert platform.call(lambda: len(platform.counter.standing._watched)) == 0


# --- SendCommand ---------------------------------------------------------------------------------


def test_the_steps_of_a_command_until_it_is_final(
    platform: Platform, channel: grpc.Channel
) -> None:
    asked = {
        "vehicle": VINS[0],
        "name": "set_charge_limit",
        "parameters": {"percent": 80},
        "idempotency_key": "k-1",
    }
    steps = list(call(channel, "SendCommand", asked))
    assert [step.step.state for step in steps] == ["requested", "handed_over", "executed"]
    assert [step.final for step in steps] == [False, False, True]
    assert platform.gateway.seen[-1].parameters == {"percent": 80}
    seen = len(platform.gateway.seen)
    again = list(call(channel, "SendCommand", asked))
    assert [step.command_id for step in again] == [steps[0].command_id] * 3
    assert len(platform.gateway.seen) == seen, "the same key is the same command"
    url = f"{platform.url}/api/1/vehicles/{VINS[0]}/commands/{steps[0].command_id}"
    shown = httpx.get(url, headers=dict([_header()])).json()["response"]
    assert [step["state"] for step in shown["timeline"]] == [s.step.state for s in steps]
    error = refusal(call(channel, "SendCommand", {**asked, "parameters": {"percent": 70}}))
    assert error.code() is StatusCode.INVALID_ARGUMENT


def test_a_command_that_ended_is_told_to_the_traces(
    platform: Platform, channel: grpc.Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, int, str]] = []
    monkeypatch.setattr(platform.counter, "answered", lambda *words: told.append(words))
    before_us = platform.counter.clock.now_us()
    steps = list(call(channel, "SendCommand"))
    ((command_id, begun_us, by),) = told
    assert (command_id, by) == (steps[0].command_id, "grpc")
    assert begun_us >= before_us


def test_no_step_is_told_twice_when_older_news_come_late(platform: Platform) -> None:
    steps = tuple(Step(state, n) for n, state in enumerate((REQUESTED, HANDED_OVER, EXECUTED)))
    whole = CommandView("c", TOKENS[0], "honk_horn", {}, "owner", "k", 1 << 60, steps)
    told: list[str] = []

    class Context:
        async def write(self, message: Any) -> None:
            told.append(message.step.state)

    async def tell() -> None:
        fleet = Fleet(platform.counter, SampleLane(lambda: platform.samples, 0.01))
        news: asyncio.Queue[CommandView] = asyncio.Queue()
        news.put_nowait(replace(whole, timeline=steps[:1]))  # heard before `submit` returned
        news.put_nowait(whole)
        await fleet._tell(news, replace(whole, timeline=steps[:2]), Context())

    asyncio.run(tell())
    assert told == ["requested", "handed_over", "executed"]


@pytest.mark.parametrize(
    ("members", "code", "text"),
    [
        ({"name": "fly"}, StatusCode.INVALID_ARGUMENT, "invalid_command"),
        ({"name": "set_charge_limit"}, StatusCode.INVALID_ARGUMENT, "invalid_field: percent"),
        ({"idempotency_key": "a b"}, StatusCode.INVALID_ARGUMENT, "idempotency_key: 1 to 64"),
        ({"expires_s": 301}, StatusCode.INVALID_ARGUMENT, "expires_s: must be"),
        ({"vehicle": "x"}, StatusCode.NOT_FOUND, "not_found"),
        ({"parameters": {"a": "x" * 3000}}, StatusCode.RESOURCE_EXHAUSTED, "too large"),
    ],
)
def test_a_wrong_command_says_what_is_wrong(
    channel: grpc.Channel, members: dict[str, Any], code: StatusCode, text: str
) -> None:
    error = refusal(call(channel, "SendCommand", {**ASKED["SendCommand"], **members}))
    assert error.code() is code
    assert text in error.details()


def test_a_sleeping_car_is_a_failed_precondition(platform: Platform, channel: grpc.Channel) -> None:
    platform.live.change(TOKENS[0], asleep=True, online=True)
    error = refusal(call(channel, "SendCommand"))
    assert error.code() is StatusCode.FAILED_PRECONDITION
    assert "vehicle is offline or asleep" in error.details()


def test_a_command_without_an_answer_ends_by_a_deadline(
    platform: Platform, channel: grpc.Channel
) -> None:
    platform.gateway.script = lambda _command: None
    answers = call(channel, "SendCommand", {**ASKED["SendCommand"], "expires_s": 1})
    first = next(answers)
    with pytest.raises(grpc.RpcError) as raised:
        list(answers)
    assert raised.value.code() is StatusCode.DEADLINE_EXCEEDED
    assert dict(raised.value.trailing_metadata())["x-command-id"] == first.command_id


# --- PublishSamples ------------------------------------------------------------------------------


def records(platform: Platform) -> list[Any]:
    """What the API's bulk lane holds, once."""
    reader = platform.log.reader(frozenset({Topic.TELEMETRY}), Edge.EARLIEST)
    dedup, kept = Dedup(platform.config.dedup), []
    while slices := reader.poll(0):
        for piece in slices:
            kept += list(piece.batch.select(dedup.keep(piece.batch, piece.writer)))
    reader.close()
    return kept


def test_samples_are_stored_when_they_are_acknowledged(
    platform: Platform, channel: grpc.Channel
) -> None:
    sent = [
        batch(1, "rig", signal="soc", number=55.5, time_us=1_700_000_000_000_000),
        batch(2, "rig", signal="rig.note", text="né", time_us=1_700_000_001_000_000),
        batch(1, "rig", signal="soc", number=55.5, time_us=1_700_000_000_000_000),
    ]
    last = list(call(channel, "PublishSamples", iter(sent)))[-1]
    assert (last.batches, last.samples) == (3, 3)
    stored = [record for record in records(platform) if record.stream == b"rig"]
    assert [record.sequence for record in stored] == [1, 2], "sent twice, read once"
    assert {record.encoding for record in stored} == {Encoding.SAMPLES}
    assert stored[0].event_time_us == 1_700_000_000_000_000
    assert stored[0].vehicle == TOKENS[0]
    assert stored[0].key_id == 1
    named = packed.decode(stored[1].payload)
    assert (named.names, named.texts) == (["rig.note"], ["né"])


def test_a_clock_far_ahead_is_bounded(platform: Platform, channel: grpc.Channel) -> None:
    ahead_us = platform.clock.now_us() + 400_000_000
    list(call(channel, "PublishSamples", iter([batch(9, "fast", signal="soc", time_us=ahead_us)])))
    (stored,) = (record for record in records(platform) if record.stream == b"fast")
    assert stored.event_time_us == stored.received_time_us < ahead_us
    assert stored.flags & Flags.TIME_BOUNDED


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (batch(1), "name the stream"),
        (batch(0, "rig"), "sequence: from 1 on; leave both out for none"),
        (message_class("SampleBatch")(vehicle=VINS[0]), "1 to 20"),
        (message_class("SampleBatch")(vehicle=VINS[0], samples=[{"signal": "a"}] * 21), "1 to 20"),
        (batch(1, "s" * 256), "at most 255 bytes"),
        (batch(signal="", number=1.0), "signal name"),
        (batch(signal="a", number=1.0, time_us=-5), "before 1970"),
        (batch(signal="a", text="x" * 70_000), "text of 70000 bytes"),
    ],
)
def test_a_wrong_batch_ends_the_call_after_the_good_ones(
    channel: grpc.Channel, wrong: Any, text: str
) -> None:
    answers = call(channel, "PublishSamples", iter([batch(), wrong, batch()]))
    first = next(answers)
    assert (first.batches, first.samples) == (1, 1)
    error = refusal(answers)
    assert error.code() is StatusCode.INVALID_ARGUMENT
    assert text in error.details()


def test_what_is_not_durable_is_not_acknowledged(
    platform: Platform, channel: grpc.Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    list(call(channel, "PublishSamples", iter([batch()])))  # the lane is open
    for failure, code in (
        (LogFullError("the disk is full"), StatusCode.RESOURCE_EXHAUSTED),
        (LogWriteError("the disk failed"), StatusCode.UNAVAILABLE),
    ):

        def fail(_taken: Any, failure: Exception = failure) -> None:
            raise failure

        monkeypatch.setattr(platform.samples, "_write", fail)
        error = refusal(call(channel, "PublishSamples", iter([batch()])))
        assert error.code() is code
        assert str(failure) in error.details()


# --- health, reflection, ends --------------------------------------------------------------------


def test_health_follows_ready(platform: Platform, channel: grpc.Channel) -> None:
    health = health_pb2_grpc.HealthStub(channel)
    ask = health_pb2.HealthCheckRequest
    assert health.Check(ask()).status == health_pb2.HealthCheckResponse.SERVING
    changes = health.Watch(ask(service=SERVICE), timeout=20)
    assert next(changes).status == health_pb2.HealthCheckResponse.SERVING
    platform.health["log"] = "the disk is stuck"
    try:
        assert next(changes).status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert health.Check(ask()).status == health_pb2.HealthCheckResponse.NOT_SERVING
    finally:
        platform.health["log"] = ""
    changes.cancel()
    with pytest.raises(grpc.RpcError) as raised:
        health.Check(ask(service="none"))
    assert raised.value.code() is StatusCode.NOT_FOUND


def test_reflection_lists_and_describes_the_service(channel: grpc.Channel) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    ask = reflection_pb2.ServerReflectionRequest
    asked = [ask(list_services=""), ask(file_containing_symbol=SERVICE)]
    listed, described = stub.ServerReflectionInfo(iter(asked), timeout=20)
    names = {service.name for service in listed.list_services_response.service}
    assert names == {SERVICE, "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"}
    files = described.file_descriptor_response.file_descriptor_proto
    (file,) = (
        parsed
        for parsed in map(descriptor_pb2.FileDescriptorProto.FromString, files)
        if parsed.package == "motorcade.v1"
    )
    assert [method.name for method in file.service[0].method] == [row.name for row in METHODS]


def test_a_stop_says_goodbye_and_acknowledges_what_it_took(tmp_path: Path) -> None:
    go = threading.Event()

    def batches() -> Iterator[Any]:
        yield batch()
        go.wait(20)

    with running(tmp_path, "commands.response_s_max=0.3", rpc=True) as platform:
        platform.live.states[TOKENS[0]] = VehicleState({}, True, 7)
        with grpc.insecure_channel(f"127.0.0.1:{platform.rpc_port}") as channel:
            calls = [call(channel, "StreamState"), call(channel, "PublishSamples", batches())]
            for answers in calls:
                next(answers)
            platform.loop.call_soon_threadsafe(platform._stopping.set)
            for answers in calls:
                error = refusal(answers)
                assert error.code() is StatusCode.UNAVAILABLE
                assert "the server is shutting down" in error.details()
            go.set()


# --- what a deployment puts before calls ---------------------------------------------------------


@pytest.mark.parametrize("name", ["StreamState", "SendCommand"])
def test_an_obstacle_stands_before_a_call(
    platform: Platform, channel: grpc.Channel, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    asked = []

    async def obstacle(path: str, access: AccessToken, tag: str) -> None:
        asked.append((path, access.client_id, tag))
        raise ApiError(503, "service unavailable", headers={"Retry-After": "7"})

    monkeypatch.setattr(platform.counter, "obstacle", obstacle)
    error = refusal(call(channel, name))
    assert error.code() is StatusCode.UNAVAILABLE
    assert dict(error.trailing_metadata())["retry-after"] == "7"
    assert asked == [(f"/{SERVICE}/{name}", "test", VINS[0])]


def test_a_stream_ends_when_its_tokens_lifetime_is_cut(
    platform: Platform, channel: grpc.Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = call(channel, "StreamState")
    assert next(answers).HasField("snapshot")
    monkeypatch.setattr(platform.counter.lifetimes, "left_s", lambda _access: 0.0)
    platform.loop.call_soon_threadsafe(platform.counter.lifetimes.look)
    error = refusal(answers)
    assert error.code() is StatusCode.UNAUTHENTICATED
    assert "token expired" in error.details()
