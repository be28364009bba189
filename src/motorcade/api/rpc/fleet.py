"""The service `motorcade.v1.Fleet`: who may call a method, what it does, how it is ended.

The rules are HTTP's: `rights.py`, `rates.py`, `standing.py`, `feed.py` and `commands.py` decide.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from typing import Any, Final

import grpc
import structlog
from google.protobuf.message import DecodeError

from motorcade.api.commands import check_awake, check_key, check_unsigned, note_command, refused
from motorcade.api.counter import Counter, check_row, kind_of, require
from motorcade.api.errors import LOGIN_REQUIRED, TOKEN_EXPIRED, ApiError, unauthorized
from motorcade.api.following import Asked, carried
from motorcade.api.rights import PUBLISH_SAMPLES, SEND_COMMAND, STREAM_STATE, Right
from motorcade.api.rpc.errors import code_of, end_of, stopping, text_of, trailer_of
from motorcade.api.rpc.messages import (
    CommandStep,
    PublishAck,
    SampleBatch,
    SendCommandRequest,
    StreamStateRequest,
    as_frame,
    command_step,
    read_struct,
)
from motorcade.api.rpc.publishing import Publishing, SampleLane
from motorcade.api.rpc.samples import read_batch
from motorcade.api.stream import INTERVAL_MS_MAX
from motorcade.commands.errors import CommandError
from motorcade.commands.port import CommandView, Request
from motorcade.commands.table import WAKE_UP, read_parameters, row_of
from motorcade.events import Record
from motorcade.identity.errors import SecretsError
from motorcade.identity.port import AccessToken
from motorcade.registry.errors import RegistryUnavailableError
from motorcade.registry.port import Vehicle
from motorcade.wire.command.errors import CommandCodecError
from motorcade.wire.rpc.schema import SERVICE

LOOP_SAMPLES_MAX: Final = 500  # some 1 ms of the loop; larger batches are judged in a thread

_Method = Callable[[AccessToken, Any, Any], Coroutine[Any, Any, None]]
_log = structlog.get_logger()


class Fleet:
    """Answers calls; on the API's loop."""

    def __init__(self, counter: Counter, lane: SampleLane) -> None:
        self._counter, self._lane = counter, lane
        self._open: set[Callable[[ApiError], None]] = set()  # ends a call
        self._publishing: set[Publishing] = set()
        self._empty = asyncio.Event()
        self._empty.set()
        self._closing = False

    @property
    def handlers(self) -> grpc.GenericRpcHandler:
        """What a server of gRPC is given. Messages come and go as bytes: we judge sizes first."""
        step, ack = CommandStep.SerializeToString, PublishAck.SerializeToString
        one, many = grpc.unary_stream_rpc_method_handler, grpc.stream_stream_rpc_method_handler
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                "StreamState": one(self._called(STREAM_STATE, self._stream_state)),
                "SendCommand": one(
                    self._called(SEND_COMMAND, self._send_command), response_serializer=step
                ),
                "PublishSamples": many(
                    self._called_with_many(self._publish_samples), response_serializer=ack
                ),
            },
        )

    async def close(self, limit_s: float) -> None:
        """Take no more samples; wait for calls to end, but not longer, then end them."""
        self._closing = True
        for publishing in list(self._publishing):
            publishing.stop()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._empty.wait(), limit_s)
        for end in list(self._open):
            end(stopping())

    def _called(self, row: Right, method: _Method) -> Any:
        async def call(data: bytes, context: Any) -> None:
            await self._answer(row, method, data, context)

        return call

    def _called_with_many(self, method: _Method) -> Any:
        async def call(_messages: Any, context: Any) -> None:
            await self._answer(PUBLISH_SAMPLES, method, b"", context)

        return call

    async def _answer(self, row: Right, method: _Method, data: bytes, context: Any) -> None:
        """Let the method answer, or refuse as `errors.py` says. Every call ends here."""
        txid = self._counter.entropy(16).hex()
        error = None
        try:
            with self._told_of_revocation(self._allow(row, context)) as access:
                await method(access, data, context)
        except ApiError as refusal:
            error = refusal
        except (RegistryUnavailableError, SecretsError) as unavailable:
            _log.warning("api_unavailable", path=row.path, txid=txid, error=str(unavailable))
            error = ApiError(503, "service unavailable", "please try again")
        except Exception as fault:
            _log.error("api_fault", path=row.path, txid=txid, exc_info=fault)
            error = ApiError(500, "internal server error")
        code = grpc.StatusCode.OK if error is None else code_of(error)
        self._counter.calls.add(code.name.lower())
        if error is not None:
            await context.abort(code, text_of(error), trailer_of(error, txid))

    def _allow(self, row: Right, context: Any) -> AccessToken:
        """Who calls, if this row lets them. Raises 401, 403, 412, 421, and 503 at the end."""
        if self._closing:
            raise stopping()
        metadata = dict(context.invocation_metadata() or ())
        bearer = metadata.get("authorization", "")
        access = self._counter.holder(bearer if isinstance(bearer, str) else "")
        check_row(row, access)
        self._counter.residence.check(access)
        return access

    @contextlib.contextmanager
    def _told_of_revocation(self, access: AccessToken) -> Iterator[AccessToken]:
        """End this task's call once its token is good no more, or the server stops. Raises why."""
        task = asyncio.current_task()
        assert task is not None
        why: list[ApiError] = []

        def end(error: ApiError) -> None:
            if not why:
                why.append(error)
                task.cancel()

        def revoked() -> None:
            end(unauthorized(LOGIN_REQUIRED))

        expired = partial(end, unauthorized(TOKEN_EXPIRED))
        self._counter.standing.watch(access, revoked, self._counter.generation)
        self._open.add(end)
        self._empty.clear()
        try:
            with self._counter.lifetimes.told(access, expired):
                yield access
        except asyncio.CancelledError:
            if not why:
                raise  # the client went
            task.uncancel()
            raise why[0] from None
        finally:
            self._open.discard(end)
            if not self._open:
                self._empty.set()
            self._counter.standing.unwatch(revoked)

    async def _stream_state(self, access: AccessToken, data: bytes, context: Any) -> None:
        counter = self._counter
        asked = self._read(StreamStateRequest, data)
        await counter.obstacle(STREAM_STATE.path, access, asked.vehicle)
        vehicle = counter.vehicle(access, asked.vehicle)
        counter.take(STREAM_STATE, access, vehicle.token)
        if asked.min_interval_ms > INTERVAL_MS_MAX:
            text = f"min_interval_ms: must be a whole number 0 to {INTERVAL_MS_MAX}"
            raise ApiError(400, "invalid_field", text)
        follows = Asked(access, counter.generation, vehicle, asked.resume, asked.min_interval_ms)
        kind = kind_of(STREAM_STATE)
        with counter.streams.place(), carried(counter, follows, as_frame, kind) as holder:
            while frames := await holder.frames():
                for frame in frames:
                    await context.write(frame.data)
        if holder.end is not None:
            raise end_of(holder.end)

    async def _send_command(self, access: AccessToken, data: bytes, context: Any) -> None:
        counter = self._counter
        begun_us = counter.clock.now_us()
        asked = self._read(SendCommandRequest, data)
        await counter.obstacle(SEND_COMMAND.path, access, asked.vehicle)
        try:
            vehicle, request = self._judge_command(access, asked)
            with self._hearing(vehicle) as news:
                view = await counter.commands.submit(request)
                try:
                    await self._tell(news, view, context)
                finally:
                    note_command(counter, access, request, counter.commands.find(view.id) or view)
            counter.answered(view.id, begun_us, "grpc")
        except (CommandError, CommandCodecError) as error:
            raise refused(error) from error

    def _judge_command(self, access: AccessToken, asked: Any) -> tuple[Vehicle, Request]:
        """As HTTP's route judges, in its order. Raises `ApiError` and `CommandError`."""
        counter, limits = self._counter, self._counter.config.commands
        row = row_of(asked.name)
        require(access, *row.scopes)
        vehicle = (counter.owned if row.owners else counter.vehicle)(access, asked.vehicle)
        counter.take(SEND_COMMAND, access, vehicle.token)
        check_unsigned(counter, vehicle, row)
        parameters = read_parameters(row, read_struct(asked.parameters))
        if asked.idempotency_key:
            check_key(asked.idempotency_key, "idempotency_key")
        if asked.expires_s > limits.expires_s_max:
            text = f"expires_s: must be a whole number 1 to {limits.expires_s_max}"
            raise ApiError(400, "invalid_field", text)
        if not asked.wake and row.name != WAKE_UP:
            check_awake(counter, vehicle, "set wake")
        request = Request(
            vehicle.token,
            row.name,
            parameters,
            access.subject,
            asked.idempotency_key,
            asked.expires_s or limits.expires_s_default,
            asked.wake,
        )
        return vehicle, request

    @contextlib.contextmanager
    def _hearing(self, vehicle: Vehicle) -> "Iterator[asyncio.Queue[CommandView]]":
        """The vehicle's commands, each time one takes a step, while the block runs."""
        news: asyncio.Queue[CommandView] = asyncio.Queue()  # bounded by the vehicle's own limits
        self._counter.commands.watch(vehicle.token, news.put_nowait)
        try:
            yield news
        finally:
            self._counter.commands.unwatch(vehicle.token, news.put_nowait)

    async def _tell(
        self, news: "asyncio.Queue[CommandView]", view: CommandView, context: Any
    ) -> None:
        """Send the steps of this command until it is final. Raises the 408 of one that stays open
        long after its expiry: only the vehicle's journal knows then."""
        counter, told = self._counter, 0
        limit_us = view.expires_time_us + int(counter.config.commands.response_s_max * 1e6)
        while True:
            for step in view.timeline[told:]:
                await context.write(command_step(view, step))
            told = max(told, len(view.timeline))  # what was heard first may be the older
            if view.final:
                return
            left_s = (limit_us - counter.clock.now_us()) / 1e6
            newer = await self._next(news, view.id, left_s)
            if newer is None:
                where = f"command {view.id} is {view.state}; its timeline tells how it ends"
                raise ApiError(
                    408, "timeout: no answer from the vehicle yet", where, command_id=view.id
                )
            view = newer

    async def _next(
        self, news: "asyncio.Queue[CommandView]", command_id: str, left_s: float
    ) -> CommandView | None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, left_s)):
                while True:
                    view = await news.get()
                    if view.id == command_id:
                        return view
        return None

    async def _publish_samples(self, access: AccessToken, _data: bytes, context: Any) -> None:
        counter, limits = self._counter, self._counter.config.rpc

        async def judge(message: bytes) -> tuple[Record, int]:
            batch = _parse(SampleBatch, message)
            vehicle = counter.vehicle(access, batch.vehicle)
            given = batch, vehicle, counter.clock.now_us(), counter.config
            samples = len(batch.samples)
            if samples > LOOP_SAMPLES_MAX:
                return await asyncio.to_thread(read_batch, *given), samples
            return read_batch(*given), samples

        publishing = Publishing(context, self._lane, judge, limits.unacked_bytes_max)
        self._publishing.add(publishing)
        try:
            await publishing.run()
        finally:
            self._publishing.discard(publishing)

    def _read(self, kind: Any, data: bytes) -> Any:
        """A request. Raises 400 and 413."""
        limit = self._counter.config.rpc.request_bytes_max
        if len(data) > limit:
            raise ApiError(413, "request body too large", f"{len(data)} bytes, limit {limit}")
        return _parse(kind, data)


def _parse(kind: Any, data: bytes) -> Any:
    try:
        return kind.FromString(data)
    except DecodeError as error:
        raise ApiError(400, "invalid_request", f"not a {kind.DESCRIPTOR.name}") from error
