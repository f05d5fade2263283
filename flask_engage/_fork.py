"""What is to be made anew in a process that was forked from ours."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable


def call_after_fork(method: weakref.WeakMethod[Callable[[], None]]) -> None:
    """Have `method` called in each forked child, for as long as its object lives."""

    def in_child() -> None:
        found = method()
        if found is not None:
            found()

    os.register_at_fork(after_in_child=in_child)
