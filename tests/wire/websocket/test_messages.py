"""What may follow what, and the size limit that acts on headers."""

import pytest

from motorcade.wire.websocket.errors import CloseCode, FrameError
from motorcade.wire.websocket.frames import Header, Opcode
from motorcade.wire.websocket.messages import MessageJudge, Verdict

KEEP, DISCARD, CONTROL, TEXT = Verdict.KEEP, Verdict.DISCARD, Verdict.CONTROL, Verdict.TEXT
FIRST, MIDDLE, LAST, WHOLE = (2, False), (0, False), (0, True), (2, True)
PING, TEXT_FRAME = (9, True), (1, True)

Frame = tuple[tuple[int, bool], int]


def judged(*frames: Frame) -> list[Verdict]:
    judge = MessageJudge(message_bytes_max=100, message_bytes_hard_max=1_000)
    return [
        judge.admit(Header(Opcode(opcode), final, b"1234", 6, size))
        for (opcode, final), size in frames
    ]


@pytest.mark.parametrize(
    ("frames", "verdicts"),
    [
        ([(WHOLE, 100), (WHOLE, 100)], [KEEP, KEEP]),
        ([(WHOLE, 101), (WHOLE, 1)], [DISCARD, KEEP]),
        ([(FIRST, 50), (MIDDLE, 50), (LAST, 1), (WHOLE, 1)], [KEEP, KEEP, DISCARD, KEEP]),
        ([(FIRST, 101), (LAST, 0), (FIRST, 1), (LAST, 1)], [DISCARD, DISCARD, KEEP, KEEP]),
        ([(FIRST, 1), (PING, 4), (LAST, 1)], [KEEP, CONTROL, KEEP]),
        ([(TEXT_FRAME, 5)], [TEXT]),
    ],
)
def test_frames_are_judged_by_their_headers(frames: list[Frame], verdicts: list[Verdict]) -> None:
    assert judged(*frames) == verdicts


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        ([(LAST, 1)], CloseCode.PROTOCOL_ERROR),
        ([(FIRST, 1), (WHOLE, 1)], CloseCode.PROTOCOL_ERROR),
        ([(WHOLE, 1_001)], CloseCode.MESSAGE_TOO_BIG),
        ([(FIRST, 600), (MIDDLE, 401)], CloseCode.MESSAGE_TOO_BIG),
    ],
)
def test_what_cannot_go_on_says_how_to_close(frames: list[Frame], code: CloseCode) -> None:
    with pytest.raises(FrameError) as caught:
        judged(*frames)
    assert caught.value.code is code
