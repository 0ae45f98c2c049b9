"""How long annotating took, and what painting everything would have cost."""

from __future__ import annotations

import time
from collections.abc import Callable

LONGEST_PAUSE_S = 30.0
"""Time between two interactions counts up to here: the rest of a longer pause the user was elsewhere."""
_TOO_SHORT_S = 10.0  # to say anything about the rest


class EffortClock:
    """Adds up the time between interactions.

    Parameters
    ----------
    seconds
        Spent before.
    now
        A clock that only goes forwards, in seconds.
    """

    def __init__(self, seconds: float = 0.0, *, now: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self._now = now
        self._last: float | None = None

    def tick(self) -> None:
        """Note an interaction."""
        now = self._now()
        if self._last is not None:
            self.seconds += min(now - self._last, LONGEST_PAUSE_S)
        self._last = now


def effort_line(seconds: float, *, n_complete: int, n_objects: int | None, share: float) -> str:
    """Say in one line what was spent, and what painting every voxel at this rate would have cost.

    Parameters
    ----------
    seconds
        Spent annotating.
    n_complete
        Complete slices.
    n_objects
        Objects painted; None where classes are painted.
    share
        Of the volume's voxels, 0..1, on complete slices; at 0 nothing is said about the rest.
    """
    done = [_count(n_complete, "slice complete", "slices complete")]
    if n_objects is not None:
        done.append(_count(n_objects, "object", "objects"))
    line = f"{duration(seconds)} so far: {', '.join(done)}."
    if share <= 0 or seconds < _TOO_SHORT_S:
        return line
    return f"{line} All of it at this rate: {duration(seconds / share)}."


def _count(n: int, one: str, many: str) -> str:
    return f"{n} {one if n == 1 else many}"


def duration(seconds: float) -> str:
    """Write a time: "40 s", "3 min", "2 h 5 min"."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours < 10 else f"{seconds / 3600:.0f} h"
