"""A hand at the mouse that keeps its own time, and a stopwatch for what it sees.

The hand's events are due at times that the window cannot shift: a window that is busy gets them late, and answers for
the wait.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from qtpy.QtCore import QCoreApplication, QEvent, QEventLoop, QObject, QPoint, QPointF, Qt, QTimer
from qtpy.QtGui import QMouseEvent, QWheelEvent
from qtpy.QtWidgets import QWidget

_MOVE_S = 0.016
_BETWEEN_STROKES_S = 0.4
_NOTCH = 120
"""Of a mouse wheel, in Qt's eighths of a degree."""
_TIMED = (QEvent.Type.MouseMove, QEvent.Type.Wheel)


@dataclass(frozen=True)
class Act:
    """What the hand does: when (seconds after its beginning), how, and where (a place in the canvas, pixels)."""

    after: float
    kind: QEvent.Type
    place: QPointF
    notch: int = 0


def plan_strokes(count: int, *, moves: int, size: tuple[int, int]) -> list[Act]:
    """Plan strokes like loops of handwriting all over a canvas of (width, height) pixels."""
    rng = np.random.default_rng(0)
    acts: list[Act] = []
    after = 0.0
    for _ in range(count):
        centre, turn = rng.uniform(0.25, 0.75, 2) * size, rng.uniform(0, 2 * math.pi)
        ways = turn + np.linspace(0, 2 * math.pi, moves + 1)
        radius = 0.15 * min(size)
        places = [QPointF(centre[0] + radius * math.cos(a) * 1.4, centre[1] + radius * math.sin(a)) for a in ways]
        acts.append(Act(after, QEvent.Type.MouseButtonPress, places[0]))
        acts += [Act(after + _MOVE_S * n, QEvent.Type.MouseMove, place) for n, place in enumerate(places[1:], 1)]
        after += _MOVE_S * (moves + 1)
        acts.append(Act(after, QEvent.Type.MouseButtonRelease, places[-1]))
        after += _BETWEEN_STROKES_S
    return acts


def plan_scroll(count: int, *, every: float, size: tuple[int, int]) -> list[Act]:
    """Plan notches of the wheel with Ctrl held, over the middle of the canvas: to and fro through the slices."""
    middle = QPointF(size[0] / 2, size[1] / 2)
    return [Act(every * n, QEvent.Type.Wheel, middle, 1 if n % 20 < 10 else -1) for n in range(count)]


class Hand(threading.Thread):
    """Posts the events of a plan to a widget, each when it is due; ``due`` are their times by ``perf_counter``."""

    def __init__(self, widget: QWidget, plan: Sequence[Act]) -> None:
        super().__init__(daemon=True)
        self.widget, self.plan = widget, plan
        self.corner = QPointF(widget.mapToGlobal(QPoint(0, 0)))
        begin = time.perf_counter() + 0.1
        self.due = deque(begin + act.after for act in plan if act.kind in _TIMED)
        self._times = [begin + act.after for act in plan]

    def run(self) -> None:
        """Post one event after the other."""
        down = False
        for due, act in zip(self._times, self.plan, strict=True):
            time.sleep(max(0.0, due - time.perf_counter()))
            down = (down or act.kind is QEvent.Type.MouseButtonPress) and act.kind != QEvent.Type.MouseButtonRelease
            QCoreApplication.postEvent(self.widget, self._make(act, down=down))

    def _make(self, act: Act, *, down: bool) -> QEvent:
        at = self.corner + act.place
        none, left = Qt.MouseButton.NoButton, Qt.MouseButton.LeftButton
        if act.kind is QEvent.Type.Wheel:
            phase, ctrl = Qt.ScrollPhase.NoScrollPhase, Qt.KeyboardModifier.ControlModifier
            return QWheelEvent(act.place, at, QPoint(), QPoint(0, act.notch * _NOTCH), none, ctrl, phase, False)
        button = none if act.kind is QEvent.Type.MouseMove else left
        held = left if down else none
        return QMouseEvent(act.kind, act.place, at, button, held, Qt.KeyboardModifier.NoModifier)


class Stopwatch(QObject):
    """Times moves and wheel notches, from when they are due to when a frame that has seen them is on the screen.

    Parameters
    ----------
    canvas
        vispy's; its native widget draws with OpenGL and composes its window after that.
    """

    def __init__(self, canvas: Any) -> None:
        super().__init__()
        self.widget = canvas.native
        self.seconds: list[float] = []
        self._due: deque[float] = deque()
        self._received: list[float] = []
        self._drawn: list[float] = []
        self.widget.installEventFilter(self)
        canvas.events.draw.connect(self._on_draw)
        self.widget.frameSwapped.connect(self._on_swapped)

    def time(self, plan: Sequence[Act]) -> list[float]:
        """Let a hand follow a plan; seconds for each of its moves or notches, in order."""
        hand = Hand(self.widget, plan)
        self.seconds, self._due = [], hand.due
        expected = len(hand.due)
        hand.start()
        wait_until(lambda: len(self.seconds) == expected, seconds=plan[-1].after + 60, meanwhile=self._draw_last)
        return self.seconds

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Note which of the hand's events arrive; those of the window system itself are spontaneous."""
        if event.type() in _TIMED and not event.spontaneous() and self._due:
            self._received.append(self._due.popleft())
        return False

    def _draw_last(self) -> None:
        """A last move that changes nothing gets its frame too."""
        if not self._due:
            self.widget.update()

    def _on_draw(self, event: object = None) -> None:
        self._drawn += self._received
        self._received = []

    def _on_swapped(self) -> None:
        now = time.perf_counter()
        self.seconds += [now - due for due in self._drawn]
        self._drawn = []


def wait_until(condition: Callable[[], bool], *, seconds: float, meanwhile: Callable[[], None] = lambda: None) -> None:
    """Run the event loop until a condition holds, looked at 20 times a second.

    Raises
    ------
    TimeoutError
        It did not come to hold in time.
    """
    loop, timer = QEventLoop(), QTimer()
    end = time.perf_counter() + seconds

    def look() -> None:
        if condition() or time.perf_counter() > end:
            loop.quit()
        else:
            meanwhile()

    timer.timeout.connect(look)
    timer.start(50)
    loop.exec()
    timer.stop()
    if not condition():
        raise TimeoutError(f"not within {seconds:g} s")
