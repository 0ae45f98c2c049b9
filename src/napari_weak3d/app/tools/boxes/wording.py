"""What the tool says: of boxes and masks so far, and before a training."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from napari_weak3d.app.tools.boxes.mask_painting import spell
from napari_weak3d.app.tools.boxes.session import count
from napari_weak3d.app.tools.boxes.table import BoxTable
from napari_weak3d.app.tools.effort import duration
from napari_weak3d.app.tools.tool import Obstacle, Words
from napari_weak3d.io.annotations import lie_in_region

WORDS = Words(
    choice="Draw boxes",
    begin="Draw boxes on",
    first="draw some boxes",
    take_over="Make boxes of the objects that the result, as you corrected it, shows in this slice, where there are "
    "none yet: the next training learns from them",
)
_HINT = "Press R and draw a rectangle around an object: it becomes a box. Every object needs one, or set a region."
_MASK_PER_BOX = 30
"""A mask takes as long as thirty boxes: Zhao et al. 2018."""
_TOO_SHORT_S = 10.0  # to say anything about the rest


def counter_line(table: BoxTable, *, n_painted: int, seconds: float) -> str:
    """Say how many boxes and masks there are, what they took, and what masks of all would have taken."""
    n_boxes, n_done = len(table), int(table.done.sum())
    if n_boxes == 0:
        return _HINT
    masks = f"{n_done} {'mask' if n_done == 1 else 'masks'} done"
    begun = n_painted - n_done
    more = f", {begun} begun" if begun > 0 else ""
    line = f"{count(n_boxes)}, {masks}{more}. {duration(seconds)} so far."
    if seconds < _TOO_SHORT_S:
        return line
    units = n_boxes + _MASK_PER_BOX * n_done
    return f"{line} Masks of all: about {duration(seconds / units * (1 + _MASK_PER_BOX) * n_boxes)}."


def obstacle_of(table: BoxTable, *, begun: Sequence[int], finish: Callable[[Sequence[int]], None]) -> Obstacle | None:
    """Say what stands in the way of a training.

    Parameters
    ----------
    begun
        Ids of boxes whose masks are painted and not done.
    finish
        Marks masks as done.
    """
    if len(table) == 0:
        return Obstacle("There are no boxes yet: press R and draw a rectangle around each object, then train")
    if table.region is not None and not lie_in_region(table.corners, table.region).any():
        return Obstacle("No box has its middle in the region: draw some in it, or clear the region, then train")
    if begun:
        which = f"mask of box {begun[0]} is" if len(begun) == 1 else f"masks of boxes {spell(sorted(begun))} are"
        return Obstacle(
            f"The {which} painted but not done.",
            {"All of it is right" if len(begun) == 1 else "They are done": lambda: finish(begun), "Leave out": _leave},
        )
    if not table.done.any():
        return Obstacle(
            "No mask is painted yet. Boxes alone teach the model to find objects; their shapes will be guessed from "
            "the image. A few masks make them right.",
            {"Train on boxes alone": _leave},
        )
    return None


def _leave() -> None:
    """The answer that changes nothing."""
