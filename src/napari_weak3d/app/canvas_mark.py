"""What the canvas says of the shown slice. It is no layer: there is nothing to paint into by mistake."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from napari.components.overlays import TextOverlay

from napari_weak3d.app.colours import COMPLETE

_OVERLAY = "weak3d_mark"
_FRAME_PX = 4


@dataclass(frozen=True)
class Mark:
    """A line of words, and a frame around the slice if it is complete."""

    text: str
    complete: bool


def draw_mark(viewer: Any, layer: Any, mark: Mark | None) -> None:
    """Write the words into the top left of the canvas and frame the layer; None: neither."""
    overlays = viewer.canvas.overlays
    if _OVERLAY not in overlays:
        overlays[_OVERLAY] = TextOverlay(position="top_left", font_size=11)
    words, frame = overlays[_OVERLAY], layer.bounding_box
    words.text, words.visible = ("", False) if mark is None else (mark.text, True)
    frame.points, frame.line_thickness, frame.line_color = False, _FRAME_PX, COMPLETE
    frame.visible = mark is not None and mark.complete


def erase_mark(viewer: Any) -> None:
    """Take the words off the canvas for good."""
    viewer.canvas.overlays.pop(_OVERLAY, None)
