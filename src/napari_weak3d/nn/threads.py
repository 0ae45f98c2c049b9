"""As many threads as are fast now: on a machine that others use too, fewer can be several times as fast.

Every parallel operation waits for its last thread; where another program holds a core, that costs a time slice each. On
two cores with one of them taken, a training step took 0.77 s with two threads and 0.28 s with one; 0.18 s when nobody
else worked.
"""

from __future__ import annotations

from collections.abc import Callable

_PROBE_EVERY_S = 10.0
_STEPS_PER_PROBE = 2
"""The faster of them counts: the first after a change is slow."""


def find_fastest(most: int, *, seconds: Callable[[int], float]) -> int:
    """Find out how many threads are fast now, before something that takes long and is not trained.

    Parameters
    ----------
    most
        Threads there are.
    seconds
        Does a little of the work with so many threads, and tells how long it took.
    """
    took = {threads: min(seconds(threads) for _ in range(_STEPS_PER_PROBE)) for threads in _choices(most)}
    return min(took, key=lambda threads: took[threads])  # of equals the most


def _choices(most: int) -> list[int]:
    return sorted({most, max(1, most // 2), 1}, reverse=True)


class ThreadTuner:
    """Tries fewer threads from time to time and settles on the fastest number.

    Parameters
    ----------
    most
        Threads there are.
    set_threads
        Called with the number to use from now on; ``torch.set_num_threads``.
    """

    def __init__(self, most: int, *, set_threads: Callable[[int], None]) -> None:
        self._choices = _choices(most)
        self._set = set_threads
        self._best = most
        self._left: list[int] = []
        self._fastest: dict[int, float] = {}
        self._since_probe_s = _PROBE_EVERY_S

    def after_step(self, seconds: float) -> None:
        """Take note of how long a step took, and set the number of threads for the next one."""
        if len(self._choices) == 1:
            return
        if self._left:
            threads = self._left.pop(0)
            self._fastest[threads] = min(seconds, self._fastest.get(threads, seconds))
            if not self._left:
                self._best = min(self._choices, key=lambda choice: self._fastest[choice])
        else:
            self._since_probe_s += seconds
            if self._since_probe_s >= _PROBE_EVERY_S:
                self._since_probe_s = 0.0
                self._fastest = {}
                self._left = [threads for threads in self._choices for _ in range(_STEPS_PER_PROBE)]
        self._set(self._left[0] if self._left else self._best)
