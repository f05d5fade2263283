"""Fixtures of the capture room."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from flask_engage.capture.recorder import Recorder
from tests._clock import FakeClock
from tests.capture._recorders import Recorders


@pytest.fixture
def recorders(migrated_url: str, tmp_path: Path, clock: FakeClock) -> Iterator[Recorders]:
    """Makes recorders on the test's database: ``recorders(CAPTURE_MODE="memory")``."""
    made = Recorders(migrated_url, tmp_path / "journal", clock)
    yield made
    made.close()


@pytest.fixture
def recorder(recorders: Recorders) -> Recorder:
    """A recorder on the test's database, with a journal and without a thread."""
    return recorders()
