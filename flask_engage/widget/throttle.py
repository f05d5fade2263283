"""How much one user may send: so and so many a second, and a store of them for a burst.

No library: those at hand keep a thread of their own to forget old users, or forget none.
Here nobody needs to be remembered for longer than a burst takes to be saved up again.
"""

from __future__ import annotations

import math
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable

from .._fork import call_after_fork


class Throttle:
    """Counts what users spend, in this process. Safe to use from every thread.

    :param per_second: how much comes back in a second.
    :param burst: how much there is after a pause.
    :param users: about how many are remembered at once; of more, those who came first are
        forgotten, and may begin anew.
    """

    def __init__(
        self,
        per_second: float,
        burst: int,
        *,
        users: int = 16_384,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._seconds_each = 1 / per_second
        self._seconds_of_burst = burst / per_second
        self._users = users
        self._clock = clock
        self._lock = threading.Lock()
        self._restored_at: OrderedDict[str, float] = OrderedDict()
        """When each user will have everything back, in the order in which they last came."""
        call_after_fork(weakref.WeakMethod(self._after_fork))

    def __len__(self) -> int:
        """Return how many users are remembered."""
        return len(self._restored_at)

    def spend(self, user_id: str, amount: int) -> int:
        """Take `amount` from `user_id`: 0, or in how many seconds there will be enough.

        Nothing is taken then. More than a burst is never enough.
        """
        with self._lock:
            now = self._clock()
            self._forget(now)
            spent = max(self._restored_at.get(user_id, now), now) + amount * self._seconds_each
            missing = spent - now - self._seconds_of_burst
            if missing > 0:
                return math.ceil(missing)
            self._restored_at[user_id] = spent
            self._restored_at.move_to_end(user_id)
            return 0

    def _after_fork(self) -> None:
        """Begin anew in a forked child: a thread of the parent's may have been spending."""
        self._lock = threading.Lock()
        self._restored_at = OrderedDict()

    def _forget(self, now: float) -> None:
        """Forget users who have everything back, or are too many."""
        held = self._restored_at
        while held:
            user_id = next(iter(held))
            if held[user_id] > now and len(held) < self._users:
                return
            del held[user_id]
