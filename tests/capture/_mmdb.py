"""Writes small files in MaxMind's format: a search tree over address bits, then the records."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_MARKER = b"\xab\xcd\xefMaxMind.com"
_TEXT, _MAP, _UINT16, _UINT32, _UINT64, _ARRAY = 2, 7, 5, 6, 9, 11


def write_mmdb(path: Path, networks: Mapping[str, Any], *, ip_version: int = 6) -> Path:
    """Write a file that says of each of `networks` what is given for it; return `path`."""
    nodes: list[list[int | bytes | None]] = [[None, None]]
    for text, record in networks.items():
        network = ipaddress.ip_network(text)
        bits = f"{int(network.network_address):0{network.max_prefixlen}b}"[: network.prefixlen]
        # In a tree of IPv6 addresses the others lie below ::/96.
        bits = "0" * (96 if network.version == 4 and ip_version == 6 else 0) + bits
        _insert(nodes, bits, _encoded(record))
    data, places = b"", {}
    for node in nodes:
        for child in node:
            if isinstance(child, bytes) and child not in places:
                places[child] = len(data)
                data += child
    tree = b""
    for node in nodes:
        for child in node:
            number = len(nodes) if child is None else child
            if isinstance(number, bytes):
                number = len(nodes) + 16 + places[number]
            tree += number.to_bytes(3, "big")
    metadata = {
        "binary_format_major_version": (_UINT16, 2),
        "binary_format_minor_version": (_UINT16, 0),
        "build_epoch": (_UINT64, 1_700_000_000),
        "database_type": "Test-Country",
        "description": {"en": "made for a test"},
        "ip_version": (_UINT16, ip_version),
        "languages": ["en"],
        "node_count": (_UINT32, len(nodes)),
        "record_size": (_UINT16, 24),
    }
    path.write_bytes(tree + bytes(16) + data + _MARKER + _encoded(metadata))
    return path


def _insert(nodes: list[list[int | bytes | None]], bits: str, record: bytes) -> None:
    at = 0
    for bit in bits[:-1]:
        child = nodes[at][int(bit)]
        if not isinstance(child, int):
            nodes.append([None, None])
            child = nodes[at][int(bit)] = len(nodes) - 1
        at = child
    nodes[at][int(bits[-1])] = record


def _encoded(value: Any) -> bytes:
    if isinstance(value, str):
        return _head(_TEXT, len(value.encode())) + value.encode()
    if isinstance(value, dict):
        inside = b"".join(_encoded(key) + _encoded(item) for key, item in value.items())
        return _head(_MAP, len(value)) + inside
    if isinstance(value, list):
        return _head(_ARRAY, len(value)) + b"".join(map(_encoded, value))
    kind, number = value
    said = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return _head(kind, len(said)) + said


def _head(kind: int, size: int) -> bytes:
    assert size < 29, "enough for a test"
    if kind <= 7:
        return bytes([kind << 5 | size])
    return bytes([size, kind - 7])
