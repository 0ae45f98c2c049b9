"""What has to be said of painted slices before a training: whether those that are not complete are."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from napari_weak3d.app.tools.keys import KEYS
from napari_weak3d.app.tools.runs import find_runs
from napari_weak3d.app.tools.tool import Obstacle, Words
from napari_weak3d.types import AXES, SliceIndex

WORDS = Words(
    choice="Paint slices",
    begin="Paint on",
    first="paint a slice",
    take_over="Put what the result, as you corrected it, shows in this slice into the paint layer. Mark the slice "
    "complete when all of it is right: the next training learns from it",
)


def obstacle_of(
    open_slices: Sequence[SliceIndex], *, is_empty: bool, complete: Callable[[Sequence[SliceIndex]], None]
) -> Obstacle | None:
    """Say what stands in the way of a training.

    Parameters
    ----------
    open_slices
        Painted, and not complete.
    is_empty
        Whether nothing is painted and nothing complete.
    complete
        Marks slices as complete.
    """
    if is_empty:
        return Obstacle(f"Nothing is painted yet: paint a slice, press {KEYS.complete} when it is complete, then train")
    if not open_slices:
        return None
    yes = "It is complete" if len(open_slices) == 1 else "They are complete"
    return Obstacle(
        f"{say_open(open_slices)} In a complete slice what is unpainted is background.",
        {yes: lambda: complete(open_slices), "Only the painted voxels count": lambda: None},
    )


def say_open(slices: Sequence[SliceIndex]) -> str:
    """Say that slices are painted but not complete."""
    return f"{name_all(slices)} painted but not complete."


def name_all(slices: Sequence[SliceIndex]) -> str:
    """Write "z 3 and 10, y 5 to 8 are"."""
    by_axis = [(AXES[axis], _runs(sorted(i for each, i in slices if each == axis))) for axis in range(len(AXES))]
    parts = [f"{axis} {' and '.join(filter(None, [', '.join(runs[:-1]), runs[-1]]))}" for axis, runs in by_axis if runs]
    return f"{', '.join(parts)} {'is' if len(slices) == 1 else 'are'}"


def _runs(indices: Sequence[int]) -> list[str]:
    """Write three and more in a row as "3 to 5"."""
    written = [[f"{run[0]} to {run[-1]}"] if len(run) > 2 else list(map(str, run)) for run in find_runs(indices)]
    return [each for run in written for each in run]
