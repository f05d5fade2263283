"""How much one user may send, and what remembering that costs."""

from __future__ import annotations

import os
import signal
import tracemalloc

from flask_engage.widget.throttle import Throttle


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_is_spent_and_comes_back_slowly() -> None:
    clock = Clock()
    throttle = Throttle(20, 100, clock=clock)
    assert [throttle.spend("ada", 50) for _ in range(3)] == [0, 0, 3]
    assert throttle.spend("bob", 100) == 0
    clock.now += 2.4
    assert throttle.spend("ada", 50) == 1
    assert throttle.spend("ada", 48) == 0
    assert throttle.spend("ada", 1) == 1
    clock.now += 3600
    assert throttle.spend("ada", 100) == 0
    assert throttle.spend("ada", 1) == 1


def test_twenty_a_second_are_never_too_many() -> None:
    clock = Clock()
    throttle = Throttle(20, 100, clock=clock)
    for _ in range(1000):
        assert throttle.spend("ada", 1) == 0
        clock.now += 1 / 20


def test_whoever_has_everything_back_is_forgotten() -> None:
    clock = Clock()
    throttle = Throttle(20, 100, clock=clock)
    for number in range(500):
        throttle.spend(str(number), 100)
    clock.now += 5.1
    throttle.spend("ada", 1)
    assert len(throttle) == 1


def test_however_many_users_at_the_same_moment_are_a_few_megabytes() -> None:
    throttle = Throttle(20, 100, clock=Clock())
    for number in range(180_000):
        throttle.spend(str(number), 1)
    tracemalloc.start()
    for number in range(180_000, 200_000):  # all that is remembered is from here on
        throttle.spend(str(number), 1)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(throttle) <= 16_384
    assert held < 8 * 1024 * 1024


def test_a_forked_child_waits_for_no_lock_of_its_parent() -> None:
    """A thread of the parent's may be spending just then; in the child nobody lets go."""
    throttle = Throttle(20, 100)
    with throttle._lock:
        child = os.fork()
        if not child:
            signal.alarm(10)  # ends a child that waits
            os._exit(0 if throttle.spend("ada", 100) == 0 else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
