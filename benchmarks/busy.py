"""Ingest that keeps the machine busy at a given share while something else is measured.

A process of its own: `python -m benchmarks.busy ACCOUNTS.json HOST PORT PER_SEGMENT SHARE`. It
finds the open-loop rate that makes the whole machine that busy, says it as JSON, and holds it until
a line comes on standard input. Then it measures the share once more and says it: a machine whose
speed changed meanwhile was kept busy at another share, and the caller may judge by that.
"""

import json
import select
import sys
from pathlib import Path

import numpy as np

from benchmarks.ingest import WINDOW, connect, segment
from benchmarks.load_kernels import blast
from benchmarks.machine import MachineTimes

DRAIN_US = 1_000
STEP_S = 2.0
SEEN_S = 20.0  # history is written in bursts: the share is the mean of some of them
RATE_START_PER_S = 20_000.0
STEPS = 6
NEAR = 0.03  # the rate stands when the share is so near to what was asked for
TRIES = 5


def busy_share(before: MachineTimes, after: MachineTimes) -> float:
    busy = after.busy - before.busy
    return busy / max(1, busy + after.idle - before.idle + after.steal - before.steal)


def main() -> None:
    accounts = json.loads(Path(sys.argv[1]).read_text())
    host, port = sys.argv[2], int(sys.argv[3])
    per_segment, share = int(sys.argv[4]), float(sys.argv[5])
    links = [connect(host, port, one["client_id"], one) for one in accounts]
    topics = [f"{one['publish_topic_prefix']}/telemetry".encode() for one in accounts]
    parts = [segment(topic, per_segment) for topic in topics]
    segments = np.array([np.frombuffer(part[0], np.uint8) for part in parts])
    offsets = np.array(parts[0][1], np.int64)
    fds = np.array([link.fileno() for link in links], np.int64)

    def hold(rate_per_s: float, for_s: float) -> float:
        """Send for so long; return the machine's busy share meanwhile."""
        messages = max(per_segment, int(rate_per_s * for_s) // per_segment * per_segment)
        before = MachineTimes.read()
        blast(fds, segments, offsets, rate_per_s, messages, WINDOW, for_s + 5, DRAIN_US)
        return busy_share(before, MachineTimes.read())

    def nearer(rate_per_s: float, seen: float) -> float:
        return rate_per_s * max(0.5, min(2.0, share / max(seen, 0.05)))

    hold(RATE_START_PER_S, 0.5)
    rate = RATE_START_PER_S
    for _ in range(STEPS):
        rate = nearer(rate, hold(rate, STEP_S))
    for _ in range(TRIES):
        before = hold(rate, SEEN_S)
        if abs(before - share) <= NEAR:
            break
        rate = nearer(rate, before)
    print(json.dumps({"rate_per_s": rate, "busy": before}), flush=True)
    while not select.select([sys.stdin], [], [], 0)[0]:
        hold(rate, STEP_S)
    print(json.dumps({"busy": hold(rate, SEEN_S)}), flush=True)


if __name__ == "__main__":
    main()
