"""One time point of an image: what is painted on it is out of sight while another is in view."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from napari_weak3d.app.grid import find_slice, grid_of, time_shown, world_point


class TimePoint:
    """An index on the first of a layer's four axes, and the layers that belong to it.

    A layer that the user had hidden stays so, and a brush comes back.

    Parameters
    ----------
    layer
        The image.
    index
        None: it has no such axis, and what belongs to it is always in sight.
    dims
        napari's ``viewer.dims``.
    """

    def __init__(self, layer: Any, index: int | None, dims: Any) -> None:
        self.layer, self.index, self._dims = layer, index, dims
        self._hidden: list[tuple[Any, Any]] = []

    def is_shown(self) -> bool:
        """Whether the view is at this time point."""
        return self.index is None or time_shown(self.layer, self._dims) == self.index

    def show(self) -> None:
        """Bring the view to this time point; the slice stays."""
        which = find_slice(self.layer, self._dims) or (0, grid_of(self.layer).shape[0] // 2)
        self._dims.point = world_point(self.layer, self._dims, which, time_index=self.index)

    def refusal(self) -> str:
        """Say that another time point is in view, and what to do; "": it is this one."""
        if self.is_shown():
            return ""
        shown = time_shown(self.layer, self._dims)
        what = "Another time point" if shown is None else f"Time point {shown}"
        return f"{what} is in view, and you annotate time point {self.index}: go back, or begin on this one in step 1"

    def follow_view(self, layers: Iterable[Any]) -> None:
        """Take layers out of sight where another time point is shown; bring them back where this one is."""
        if not self.is_shown():
            visible = [layer for layer in layers if layer.visible]
            self._hidden += [(layer, layer.mode) for layer in visible]
            for layer in visible:
                layer.visible = False
        elif self._hidden:
            hidden, self._hidden = self._hidden, []
            for layer, mode in hidden:
                layer.visible = True
                layer.mode = mode  # napari takes the brush away from a layer that is hidden
