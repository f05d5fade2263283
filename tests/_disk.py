"""A disk that fails on purpose: what :func:`os.write` is made to say is what the journal hears."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from flask_engage.capture import journal_file


def _says_nothing(_handle: int, _data: bytes, _length: int) -> int:
    return -1


def write_by(write: Callable[[int, bytes], int], patch: pytest.MonkeyPatch | None = None) -> None:
    """Let the journal write by `write`; without `patch` until the process ends."""
    if patch is None:
        os.write = write  # type: ignore[assignment]
        journal_file.held_write = _says_nothing
    else:
        patch.setattr(os, "write", write)
        patch.setattr(journal_file, "held_write", _says_nothing)
