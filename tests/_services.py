"""Servers that tests may use, and what is said when one is not there."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import NoReturn

import pytest

CHROMIUM = Path(os.environ.get("ENGAGE_TEST_CHROMIUM", "/usr/bin/chromium"))


def unavailable(what: str, *, start: str) -> NoReturn:
    """Skip the running test, saying what to start; where CI runs it, fail it."""
    reason = f"{what} is not reachable; to run this test: {start}"
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def listens(port: int, host: str = "127.0.0.1") -> bool:
    """Tell whether something accepts connections on `port` within a second."""
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


def free_port() -> int:
    """Return a TCP port of the loopback address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
