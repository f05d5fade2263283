"""What one round of sending did."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class SentMail:
    """A mail that was taken, as a signal tells of it."""

    user_id: str | None
    source: str


@dataclass(slots=True)
class Outcome:
    """What one round of sending did."""

    sent: int = 0
    failed: int = 0
    deferred: int = 0
    suppressed: int = 0
    unknown: int = 0
    withdrawn: int = 0
    """Taken out because the person no longer matched."""
    recovered: int = 0
    """Claims of senders that are no more, queued again."""
    stopped: str | None = None
    """Why the round ended early: no mail could leave."""
    mails: list[SentMail] = field(default_factory=list)
    """Those counted in `sent`, for signals."""

    def __str__(self) -> str:
        names = ("sent", "failed", "deferred", "suppressed", "unknown", "withdrawn", "recovered")
        counts = [f"{getattr(self, name)} {name}" for name in names if getattr(self, name)]
        return "; ".join(filter(None, (", ".join(counts) or "nothing due", self.stopped)))

    def __bool__(self) -> bool:
        return str(self) != "nothing due"
