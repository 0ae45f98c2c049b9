"""What can be undone: strokes and all other steps of a tool, in the order in which they were made."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

State = TypeVar("State")
LIMIT = 100
"""Steps that are kept: as many as a Labels layer of napari keeps, so that each of ours finds its voxels there."""


@dataclass(frozen=True)
class Step(Generic[State]):
    """One step that is undone at once.

    Attributes
    ----------
    name
        What was done, for tooltips.
    before, after
        The state around it; equal for a stroke that changed voxels only.
    voxels
        Whether the layer's own history holds an item of this step.
    brush
        What was painted with before and after it; None: the step left it alone.
    """

    name: str
    before: State
    after: State
    voxels: bool
    brush: tuple[int, int] | None = None


class History(Generic[State]):
    """Steps made and steps undone; knows no layer."""

    def __init__(self) -> None:
        self._done: deque[Step[State]] = deque(maxlen=LIMIT)
        self._undone: list[Step[State]] = []

    @property
    def undoable(self) -> Step[State] | None:
        """The step that undo takes back; None: nothing is left."""
        return self._done[-1] if self._done else None

    @property
    def redoable(self) -> Step[State] | None:
        """The step that redo makes again; None: nothing is left."""
        return self._undone[-1] if self._undone else None

    def names(self) -> tuple[str, str]:
        """Tell what undo and redo would do; "": nothing."""
        undo, redo = self.undoable, self.redoable
        return undo.name if undo else "", redo.name if redo else ""

    def push(self, step: Step[State]) -> None:
        """Add a step; what was undone before it cannot be made again."""
        self._done.append(step)
        self._undone.clear()

    def undo(self) -> Step[State] | None:
        """Take the last step back: the caller restores its ``before``."""
        if not self._done:
            return None
        self._undone.append(self._done.pop())
        return self._undone[-1]

    def redo(self) -> Step[State] | None:
        """Make the last undone step again: the caller restores its ``after``."""
        if not self._undone:
            return None
        self._done.append(self._undone.pop())
        return self._done[-1]

    def clear(self) -> None:
        """Forget everything."""
        self._done.clear()
        self._undone.clear()
