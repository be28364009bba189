"""An open-loop MQTT load client whose cost is its system calls: sends and drains in compiled code.

libc's `send`, `recv`, `clock_gettime` and `usleep` are called from numba through ctypes, so the
client costs one `send` per segment and one `recv` per drained socket, and no Python per message.
"""

import ctypes
from typing import Any

import numba
import numpy as np

import motorcade.compiled  # noqa: F401  (sets the kernel cache before numba is imported)

_libc = ctypes.CDLL(None, use_errno=True)


def _function(name: str, result: Any, *arguments: Any) -> Any:
    function = getattr(_libc, name)
    function.restype = result
    function.argtypes = list(arguments)
    return function


_send = _function(
    "send", ctypes.c_ssize_t, ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
)
_recv = _function(
    "recv", ctypes.c_ssize_t, ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
)
_clock_gettime = _function("clock_gettime", ctypes.c_int, ctypes.c_int, ctypes.c_void_p)
_usleep = _function("usleep", ctypes.c_int, ctypes.c_uint)

DONTWAIT_NOSIGNAL = 0x40 | 0x4000
CLOCK_MONOTONIC = 1


@numba.njit(nogil=True)
def _now_ns(spec):
    _clock_gettime(CLOCK_MONOTONIC, spec.ctypes.data)
    return spec[0] * 1_000_000_000 + spec[1]


@numba.njit(nogil=True)
def blast(fds, segments, id_offsets, rate_per_s, messages, window, limit_s, drain_us):
    """Send `messages` QoS 1 publishes at `rate_per_s` (0: as fast as acks allow); count PUBACKs.

    Args:
        fds: (connections,) int64, blocking or not; every call is MSG_DONTWAIT.
        segments: (connections, bytes) uint8, one TCP segment per connection, whole packets.
        id_offsets: (per segment,) int64, where each packet's identifier stands.
        window: most unacknowledged publishes per connection.
        limit_s: stop after this long whatever happens.
        drain_us: how often the acks of all sockets are read.

    Returns:
        (sent, acked, elapsed_ns, send_blocked, late_ns_max): what happened; `late_ns_max` is how
        far the client fell behind its schedule.
    """
    connections, segment_bytes = segments.shape
    per_segment = id_offsets.shape[0]
    spec = np.zeros(2, np.int64)
    inbox = np.zeros(65_536, np.uint8)
    sent_on = np.zeros(connections, np.int64)
    acked_bytes = np.zeros(connections, np.int64)
    partial = np.zeros(connections, np.int64)  # bytes of a segment already taken by the kernel
    next_id = np.ones(connections, np.int64)
    start = _now_ns(spec)
    now = start
    drained = start
    sent = 0
    acked = 0
    blocked = 0
    late_max = 0
    turn = 0
    while acked < messages and now - start < limit_s * 1_000_000_000:
        due = messages
        if rate_per_s > 0:
            due = min(messages, int((now - start) * rate_per_s / 1e9))
        progressed = False
        tries = 0
        while sent < due and tries < connections:
            tries += 1
            connection = turn % connections
            turn += 1
            if sent_on[connection] - acked_bytes[connection] // 4 + per_segment > window:
                blocked += 1
                continue
            if partial[connection] == 0:
                for packet in range(per_segment):
                    identifier = next_id[connection]
                    segments[connection, id_offsets[packet]] = identifier >> 8
                    segments[connection, id_offsets[packet] + 1] = identifier & 0xFF
                    next_id[connection] = identifier % 65_535 + 1
            done = partial[connection]
            address = segments[connection].ctypes.data + done
            taken = _send(fds[connection], address, segment_bytes - done, DONTWAIT_NOSIGNAL)
            if taken < 0:
                blocked += 1
                continue
            if done + taken < segment_bytes:
                partial[connection] = done + taken
                continue
            partial[connection] = 0
            sent_on[connection] += per_segment
            sent += per_segment
            tries = 0
            progressed = True
            if sent % 64 < per_segment:
                now = _now_ns(spec)
                if now - drained > drain_us * 1_000:
                    break
        now = _now_ns(spec)
        if rate_per_s > 0 and sent < messages:
            late = now - start - int(sent * 1e9 / rate_per_s)
            late_max = max(late_max, late)
        if now - drained > drain_us * 1_000 or sent >= messages:
            drained = now
            for connection in range(connections):
                got = _recv(fds[connection], inbox.ctypes.data, 65_536, DONTWAIT_NOSIGNAL)
                if got > 0:
                    acked += (acked_bytes[connection] + got) // 4 - acked_bytes[connection] // 4
                    acked_bytes[connection] += got
            now = _now_ns(spec)
        if not progressed:
            _usleep(200)
            now = _now_ns(spec)
    return sent, acked, now - start, blocked, late_max
