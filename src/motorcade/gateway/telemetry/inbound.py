"""From one connection's bytes to records and answers: the kernel, and by hand what it leaves.

The kernel takes whole binary frames within the limit. What remains is rare and done here: control
frames, fragments, frames over the limit (read past, nothing held), and bytes that must wait because
their frame is not all here or both staging buffers are in use.
"""

from typing import Final, Protocol

import numpy as np

from motorcade.events import Bytes
from motorcade.gateway.telemetry.desk import Car, Desk
from motorcade.gateway.telemetry.kernels import (
    MORE,
    MORE_BYTES,
    NO_ROOM,
    SLOW,
    receive,
    take,
)
from motorcade.wire.tesla_telemetry.envelope import INCORRECT_FORMAT, encode_error
from motorcade.wire.websocket.errors import CloseCode, FrameError
from motorcade.wire.websocket.frames import (
    HEADER_BYTES_MAX,
    Header,
    Opcode,
    apply_mask,
    encode_frame,
    read_header,
)
from motorcade.wire.websocket.messages import MessageJudge, Verdict

OWN_BUFFER_BYTES_MIN: Final = 64 << 10  # a frame over this is gathered in a buffer of its own
TOO_BIG: Final = encode_frame(Opcode.BINARY, encode_error(b"", INCORRECT_FORMAT))


class Link(Protocol):
    """What the connection does for its inbound half."""

    def answer(self, answers: bytes, records: int) -> None:
        """Send answers, after the commit of the `records` just added and of all before them."""

    def control(self, opcode: Opcode, payload: bytes) -> None:
        """A whole control frame came."""

    def fail(self, code: CloseCode, text: str) -> None:
        """The peer broke a rule: close with a close frame."""

    def hang_up(self) -> None:
        """Close TCP without a close frame, after the answers that are due."""

    def wait_for_room(self) -> None:
        """Stop reading until the intake has room, then call `go_on`."""


class Inbound:
    """The receiving half of one connection."""

    __slots__ = (
        "_borrowed", "_desk", "_final", "_frame_left", "_gathered", "_gathered_bytes",
        "_held", "_judge", "_link", "_mask", "_message", "_odd_frames", "_ping", "_reading_past",
        "_waiting", "_whole",
        "car",
    )  # fmt: skip

    def __init__(self, desk: Desk, link: Link) -> None:
        limits = desk.config.telemetry
        self._desk = desk
        self.car: Car | None = None  # set before the first byte, unless this peer is refused
        self._link = link
        self._judge = MessageJudge(
            message_bytes_max=limits.frame_bytes_max,
            message_bytes_hard_max=limits.frame_bytes_hard_max,
        )
        self._held = b""  # the start of a small frame
        self._gathered: Bytes | None = None  # a large frame, of which so many bytes are here:
        self._gathered_bytes = 0
        self._frame_left = -1  # payload bytes to come of a frame that is streamed; -1: none is
        self._final = False  # ... and whether it is its message's last
        self._mask = b""
        self._message: bytearray | None = None  # what has come of a fragmented message
        self._whole = False  # `_message` is complete and waits for room
        self._waiting: Bytes | None = None  # unparsed, until there is room
        self._reading_past = False  # our close frame is out or due: only the peer's counts now
        self._borrowed = 0
        self._odd_frames = 0  # of this read
        self._ping: bytes | None = None  # the last of this read

    def space(self) -> memoryview:
        """Where the next bytes go. Parse them by `filled` before another connection reads."""
        if self._gathered is not None:
            return self._gathered.data[self._gathered_bytes :]
        desk, held = self._desk, self._held
        if not held:
            return desk.window
        desk.view[: len(held)] = held
        return desk.view[len(held) : len(held) + len(desk.window)]

    def filled(self, size: int) -> None:
        """`size` bytes lie in `space`."""
        gathered = self._gathered
        if self._waiting is not None:  # reading is paused, but these were under way
            more = self._desk.received[:size]
            self._waiting = np.concatenate([self._waiting, more])
        elif gathered is None:
            end = len(self._held) + size
            self._held = b""
            self._take_read(self._desk.received, end)
        else:
            self._gathered_bytes += size
            if self._gathered_bytes == len(gathered):
                self._gathered = None
                self._take_read(gathered, len(gathered))
                self._release()

    def feed(self, data: bytes) -> None:
        """Take bytes that came behind the HTTP request."""
        if data:
            self._take_read(np.frombuffer(bytearray(data), np.uint8), len(data))

    def go_on(self) -> bool:
        """There is room again. False: not enough, `wait_for_room` was called again."""
        data, self._waiting = self._waiting, None
        if data is not None:
            self._take_read(data, len(data))
        return self._waiting is None

    def read_past(self) -> None:
        """Take no more messages: read on only to see the peer's close frame."""
        self._reading_past = True
        if self._gathered is not None:
            self._frame_left = len(self._gathered) - self._gathered_bytes
            self._gathered = None
        self._message, self._whole, self._waiting = None, False, None
        self._release()

    def _take_read(self, data: Bytes, end: int) -> None:
        self._odd_frames = 0
        self._take(data, 0, end)
        if self._ping is not None:  # the last one answers for all (RFC 6455 §5.5.3)
            ping, self._ping = self._ping, None
            self._link.control(Opcode.PING, ping)

    def _take(self, data: Bytes, at: int, end: int) -> None:
        """Take what `data[at:end]` holds, keep what is not complete."""
        while not self._reading_past:
            if self._whole:
                if not self._take_message():
                    return self._wait(data, at, end)
            elif self._frame_left >= 0:
                at = self._stream(data, at, end)
                if self._frame_left >= 0:
                    return None
            elif self._judge.message_open:
                if (at := self._by_hand(data, at, end)) < 0:
                    return None
            else:
                why, at = self._by_kernel(data, at, end)
                if why == MORE:
                    return self._keep(data, at, end)
                if why == SLOW and (at := self._by_hand(data, at, end)) < 0:
                    return None
                if why == NO_ROOM and not self._has_room(data, at, end):
                    return self._wait(data, at, end)
        return self._read_past(data, at, end)

    def _by_kernel(self, data: Bytes, at: int, end: int) -> tuple[int, int]:
        desk, car = self._desk, self.car
        assert car is not None  # a refused peer's bytes are read past
        staging = desk.intake.staging
        allowance = car.bucket.available(desk.clock.monotonic_s())
        why, stop, answer_bytes, records, frames = receive(
            data, at, end, desk.clock.now_us(), allowance, car.numbers, car.names,
            staging.rows, staging.buffer, staging.used, desk.answers, desk.scratch,
        )  # fmt: skip
        if frames:
            allowed = min(frames, allowance)
            car.bucket.take(allowed)
            counts = desk.counts
            counts.records += records
            counts.refused += allowed - records
            counts.rate_limited += frames - allowed
            counts.received_bytes += stop - at
            self._link.answer(bytes(desk.answers_view[:answer_bytes]), records)
        return why, stop

    def _has_room(self, data: Bytes, at: int, end: int) -> bool:
        header = read_header(data[at : at + HEADER_BYTES_MAX].tobytes())
        assert header is not None  # the kernel has read it
        return self._desk.intake.room(1, header.payload_bytes + MORE_BYTES)

    def _wait(self, data: Bytes, at: int, end: int) -> None:
        self._waiting = data[at:end].copy()
        self._link.wait_for_room()

    def _keep(self, data: Bytes, at: int, end: int) -> None:
        """Hold the start of a frame; a large one gets a buffer that the socket fills directly."""
        if at == end:
            return
        header = read_header(data[at : min(end, at + HEADER_BYTES_MAX)].tobytes())
        size = header.header_bytes + header.payload_bytes if header else 0
        if size <= OWN_BUFFER_BYTES_MIN:
            self._held = data[at:end].tobytes()
        elif self._borrow(size):
            self._gathered = np.empty(size, np.uint8)
            self._gathered[: end - at] = data[at:end]
            self._gathered_bytes = end - at

    def _by_hand(self, data: Bytes, at: int, end: int) -> int:
        """Take the frame at `at`, or its header; the place to go on, -1 to wait for more bytes."""
        try:
            header = read_header(data[at : min(end, at + HEADER_BYTES_MAX)].tobytes())
            if header is None:
                self._held = data[at:end].tobytes()
                return -1
            self._count_odd_frame()
            verdict = self._judge.admit(header)
        except FrameError as error:
            self._link.fail(error.code, str(error))
            return at  # where reading past begins
        payload_at = at + header.header_bytes
        match verdict:
            case Verdict.CONTROL:
                return self._control(header, data, at, end)
            case Verdict.TEXT:
                self._link.hang_up()
                return at
            case Verdict.KEEP:
                if self._message is None:
                    self._message = bytearray()
                if not self._borrow(header.payload_bytes):
                    return at
            case Verdict.DISCARD:
                self._message = None
                self._release()
        self._mask, self._final = header.mask, header.final
        self._frame_left = header.payload_bytes
        return payload_at

    def _control(self, header: Header, data: Bytes, at: int, end: int) -> int:
        payload_at = at + header.header_bytes
        stop = payload_at + header.payload_bytes
        if stop > end:
            self._held = data[at:end].tobytes()
            return -1
        payload = apply_mask(data[payload_at:stop].tobytes(), header.mask)
        if header.opcode is Opcode.PING:
            self._ping = payload
        else:
            self._link.control(header.opcode, payload)
        return stop

    def _count_odd_frame(self) -> None:
        """What goes by hand costs a hundred times the kernel's price: a flood of it is refused."""
        self._odd_frames += 1
        limit = self._desk.config.telemetry.odd_frames_per_read_max
        if self._odd_frames > limit:
            text = f"over {limit} control frames and fragments in one read"
            raise FrameError(CloseCode.POLICY_VIOLATION, text)

    def _stream(self, data: Bytes, at: int, end: int) -> int:
        """Take or drop what is here of a frame whose header has been judged."""
        stop = min(end, at + self._frame_left)
        if self._message is not None:
            self._message += apply_mask(data[at:stop].tobytes(), self._mask)
            turn = (stop - at) & 3
            self._mask = self._mask[turn:] + self._mask[:turn]
        self._frame_left -= stop - at
        if self._frame_left == 0:
            self._frame_left = -1
            if self._final and self._message is not None:
                self._whole = True
            elif self._final:
                self._desk.counts.too_big += 1
                self._link.answer(TOO_BIG, 0)
        return stop

    def _take_message(self) -> bool:
        """Take a message that came in fragments. False: there is no room for its record."""
        message, desk, car = self._message, self._desk, self.car
        assert message is not None  # `_whole` says so
        assert car is not None
        if not desk.intake.room(1, len(message) + MORE_BYTES):
            return False
        staging = desk.intake.staging
        allowed = car.bucket.available(desk.clock.monotonic_s()) > 0
        answer_bytes, records = take(
            np.frombuffer(message, np.uint8), 0, len(message), desk.clock.now_us(), allowed,
            car.numbers, car.names, staging.rows, staging.buffer, staging.used,
            desk.answers, 0, desk.scratch,
        )  # fmt: skip
        if allowed:
            car.bucket.take(1)
        desk.counts.records += records
        desk.counts.received_bytes += len(message)
        desk.counts.refused += int(allowed) - records
        desk.counts.rate_limited += int(not allowed)
        self._message, self._whole = None, False
        self._release()
        self._link.answer(bytes(desk.answers_view[:answer_bytes]), records)
        return True

    def _read_past(self, data: Bytes, at: int, end: int) -> None:
        """Drop everything up to the peer's close frame."""
        while at < end:
            if self._frame_left > 0:
                stop = min(end, at + self._frame_left)
                self._frame_left -= stop - at
                at = stop
                continue
            try:
                header = read_header(data[at : min(end, at + HEADER_BYTES_MAX)].tobytes())
            except FrameError:
                return self._link.hang_up()
            if header is None:
                self._held = data[at:end].tobytes()
                return None
            if header.opcode is Opcode.CLOSE:
                return self._link.hang_up()
            at += header.header_bytes
            self._frame_left = header.payload_bytes
        return None

    def _borrow(self, size: int) -> bool:
        if self._desk.borrow(size):
            self._borrowed += size
            return True
        self._link.fail(CloseCode.TRY_AGAIN_LATER, "too many frames have come in part")
        return False

    def _release(self) -> None:
        self._desk.give_back(self._borrowed)
        self._borrowed = 0
