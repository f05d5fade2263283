"""Frames survive damage around them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from flask_engage.capture.frames import frame, scan

PAYLOADS = [b'["seen",%d]' % n for n in range(5)]


def _payloads(data: bytes) -> list[bytes]:
    return [payload for payload, _ in scan(data, 0, 100).payloads]


def test_scan_finds_what_frame_made() -> None:
    data = b"".join(map(frame, PAYLOADS))
    found = scan(data, 1000, 100)
    assert [payload for payload, _ in found.payloads] == PAYLOADS
    assert found.end == 1000 + len(data)
    assert found.rest == 0
    assert found.damaged == []


def test_scan_stops_at_its_limit() -> None:
    found = scan(b"".join(map(frame, PAYLOADS)), 0, 2)
    assert [payload for payload, _ in found.payloads] == PAYLOADS[:2]
    assert found.end == 2 * len(frame(PAYLOADS[0]))


@given(cut=st.integers(1, len(frame(PAYLOADS[4])) - 1))
def test_a_torn_tail_is_left_over(cut: int) -> None:
    whole = b"".join(map(frame, PAYLOADS[:4]))
    found = scan(whole + frame(PAYLOADS[4])[:-cut], 0, 100)
    assert [payload for payload, _ in found.payloads] == PAYLOADS[:4]
    assert found.end == len(whole)


@given(where=st.integers(0, 5 * len(frame(PAYLOADS[0])) - 1), bit=st.integers(0, 7))
def test_one_flipped_bit_costs_one_fact_at_most(where: int, bit: int) -> None:
    data = bytearray(b"".join(map(frame, PAYLOADS)))
    hit = PAYLOADS[where // len(frame(PAYLOADS[0]))]
    data[where] ^= 1 << bit
    found = _payloads(bytes(data))
    assert [p for p in found if p != hit] == [p for p in PAYLOADS if p != hit]
    assert set(found) <= set(PAYLOADS)


@given(st.binary(max_size=200))
def test_scan_takes_any_bytes(data: bytes) -> None:
    found = scan(data, 0, 100)
    assert found.end + found.rest == len(data)
