"""What the slices hold, looked at one slice per turn of the event loop: the viewer never waits for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from qtpy.QtCore import QObject, QTimer, Signal

from napari_weak3d.types import SliceIndex


@dataclass(frozen=True)
class Found:
    """What a slice holds: whether there is paint besides that of complete slices, and the values, 0 included."""

    has_paint: bool = False
    values: frozenset[int] = frozenset()


class Survey(QObject):
    """Knows what each slice holds, and looks again at those that may have changed.

    Parameters
    ----------
    look
        Looks at one slice; a few milliseconds each.
    """

    updated = Signal()

    def __init__(self, look: Callable[[SliceIndex], Found], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._look = look
        self._found: dict[SliceIndex, Found] = {}
        self._stale: dict[SliceIndex, None] = {}  # in the order in which they became so
        self._timer = QTimer(self)
        self._timer.setInterval(0)
        self._timer.timeout.connect(self._look_at_one)

    def mark_stale(self, slices: Iterable[SliceIndex]) -> None:
        """Look at these again, soon."""
        self._stale.update(dict.fromkeys(slices))
        if self._stale:
            self._timer.start()

    def found(self, which: SliceIndex) -> Found:
        """Tell what a slice held when it was last looked at; a slice never looked at is taken to hold nothing."""
        return self._found.get(which, Found())

    def finish(self) -> None:
        """Look at everything that is stale, now."""
        stale = bool(self._stale)
        while self._stale:
            self._look_at_next()
        self._timer.stop()
        if stale:
            self.updated.emit()

    def clear(self) -> None:
        """Forget everything."""
        self._timer.stop()
        self._found.clear()
        self._stale.clear()

    def _look_at_one(self) -> None:
        if self._stale:
            self._look_at_next()
        if not self._stale:
            self._timer.stop()
            self.updated.emit()

    def _look_at_next(self) -> None:
        which = next(iter(self._stale))
        del self._stale[which]
        self._found[which] = self._look(which)
