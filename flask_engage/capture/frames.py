"""Frames: how one fact lies in a journal file, and how to find the next one behind damage.

A frame is ``LLLLLLLL CCCCCCCC payload\\n``: the payload's length and CRC-32 in hexadecimal.
A payload is JSON on one line, so it holds no newline and no frame can hide in another.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from zlib import crc32

FORMAT = 1
"""Version of the journal's format. A reader leaves files of another one alone."""
HEAD = 18
"""Bytes before the payload: two numbers of eight digits, each with a space."""
MAX_PAYLOAD = 512 * 1024
"""Far above what the limits of a fact allow: a longer length is damage."""

FRAME = b"%08x %08x %b\n"
"""A frame of a payload's length, sum and bytes."""

_HEAD = re.compile(rb"[0-9a-f]{8} [0-9a-f]{8} ")


def frame(payload: bytes) -> bytes:
    """Return `payload` as a frame."""
    return FRAME % (len(payload), crc32(payload), payload)


@dataclass(slots=True)
class Found:
    """What a stretch of a file holds."""

    payloads: list[tuple[bytes, int]] = field(default_factory=list)
    """Each good payload with the offset behind its frame."""
    damaged: list[tuple[int, int]] = field(default_factory=list)
    """Stretches (begin, end) that are no frames, with good ones behind them."""
    end: int = 0
    """Offset up to which everything is accounted for."""
    rest: int = 0
    """Bytes from `end` on that are no whole frame (yet)."""


def _payload_at(data: bytes, at: int) -> bytes | None:
    """Return the payload of the frame at `at`, or None if there is no good and whole one."""
    if not _HEAD.match(data, at):
        return None
    length = int(data[at : at + 8], 16)
    start = at + HEAD
    # The newline itself proves nothing that the sum has not, but without it we may be in
    # the middle of a write.
    if length > MAX_PAYLOAD or start + length + 1 > len(data):
        return None
    payload = data[start : start + length]
    return payload if crc32(payload) == int(data[at + 9 : at + 17], 16) else None


def _next_good(data: bytes, start: int) -> int | None:
    return next(
        (
            match.start()
            for match in _HEAD.finditer(data, start)
            if _payload_at(data, match.start()) is not None
        ),
        None,
    )


def scan(data: bytes, offset: int, limit: int) -> Found:
    """Find up to `limit` payloads in `data`, which lies at `offset` of its file."""
    found = Found(end=offset)
    at = 0
    while at < len(data) and len(found.payloads) < limit:
        payload = _payload_at(data, at)
        if payload is None:
            begin, good = at, _next_good(data, at + 1)
            if good is None:
                break
            found.damaged.append((offset + begin, offset + good))
            at = good
            continue
        at += HEAD + len(payload) + 1
        found.payloads.append((payload, offset + at))
    found.end = offset + at
    found.rest = len(data) - at
    return found
