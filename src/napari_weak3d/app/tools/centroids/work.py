"""Clicking in one image: its layers, its clicks, and what the view shows of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QObject

from napari_weak3d.app.canvas_view import CanvasView
from napari_weak3d.app.grid import Grid, lay_on, say_no_slice
from napari_weak3d.app.layers import Layers
from napari_weak3d.app.tool_layers import ToolLayers
from napari_weak3d.app.tools.centroids import look
from napari_weak3d.app.tools.centroids.clicks import Clicks, distance_between
from napari_weak3d.app.tools.centroids.region_box import RegionBox
from napari_weak3d.app.tools.centroids.session import ClickSession
from napari_weak3d.app.tools.centroids.taking import rows_in_view
from napari_weak3d.types import SliceIndex, Spacing

_LOCKED = "These clicks can only be looked at: what is changed here would be lost"
_NO_DEPTH = "Click in 2D: in 3D there is no telling how deep a click is"


class ClickWork:
    """What the verbs of the tool work on, from its begin to its end.

    Parameters
    ----------
    layers, tools, view
        Of the viewer.
    image_layer
        The image.
    clicks
        What there is at the beginning.
    say
        Tells the user something.
    parent
        Of the QObjects.

    Attributes
    ----------
    session, box
        The clicks, and the outline of the box in which all are clicked.
    current
        Which of the proposals is looked at.
    found_radius
        Of a typical cell, in the unit of the image's scale, as a search has found it; None: not yet.
    locked
        Whether nothing may be changed.
    """

    def __init__(
        self,
        layers: Layers,
        tools: ToolLayers,
        view: CanvasView,
        *,
        image_layer: Any,
        clicks: Clicks,
        say: Callable[[str], None],
        parent: QObject,
    ) -> None:
        self.layers, self.tools, self.view, self.say = layers, tools, view, say
        self.image_layer = image_layer
        self.current = 0
        self.found_radius: float | None = None
        self.locked = False
        name, grid = image_layer.name, self.grid
        self.session = ClickSession(
            look.make_points(grid, name=f"{name} clicks", color=look.CLICKED),
            look.make_points(grid, name=f"{name} proposals", color=look.PROPOSED),
            clicks,
            shape=grid.shape,
            spacing=_spacing(grid),
            may_click=lambda: _NO_DEPTH if tools.in_3d else layers.other_time(),
            parent=parent,
        )
        self.box = RegionBox(grid, name=f"{name} box", parent=parent)

    def show(self) -> None:
        """Put the layers into the viewer; that of the clicks is active, and clicks."""
        for each in (self.box.layer, self.session.proposals, self.session.layer):
            self.tools.put(each)
        self.layers.follow(self.image_layer)
        self.tools.follow(self.image_layer)
        self.layers.activate(self.session.layer)
        self.session.layer.mode = "add"

    def bring_back(self) -> None:
        """Show the layers of proposals and of the box, if the user has removed them: there is something new in them."""
        for each in (self.box.layer, self.session.proposals):
            if not self.tools.has(each):
                self.tools.put(each)

    def close(self) -> None:
        """Take the layers away, for all that they show is kept."""
        self.session.close()
        self.box.close()
        for layer in (self.session.layer, self.session.proposals, self.box.layer):
            self.tools.take_away(layer)
        self.view.see_plain()
        self.layers.follow(None)
        self.tools.follow(None)
        self.session.deleteLater()
        self.box.deleteLater()

    def lay_on(self, grid: Grid) -> None:
        """Follow the image: its spacing was corrected, or it was moved."""
        self.session.spacing = _spacing(grid)
        for layer in (self.session.layer, self.session.proposals, self.box.layer):
            lay_on(grid, layer)

    @property
    def clicks(self) -> Clicks:
        """As they are now."""
        return self.session.clicks

    @property
    def grid(self) -> Grid:
        """Of the image."""
        return self.layers.grid_of(self.image_layer)

    @property
    def radius(self) -> float:
        """Of a typical cell, in the unit of the image's scale: as found, or guessed from the clicks."""
        if self.found_radius is not None:
            return self.found_radius
        apart = distance_between(self.clicks.points, spacing=self.session.spacing)
        return look.guess_radius(self.grid, apart=apart)

    def refresh(self) -> None:
        """Let sizes, colours and the box fit what there is."""
        self.session.reach = radius = self.radius
        for layer in (self.session.layer, self.session.proposals):
            look.show_size(layer, self.grid, radius=radius)
        look.show_current(self.session.proposals, self.current if len(self.clicks.proposed) else None)
        self.view.see_deep(radius)
        self.box.show(self.clicks.region, self.layers.shown_slice())

    def lock(self) -> None:
        """Let nothing be changed."""
        self.locked = True
        self.session.layer.editable = self.box.layer.editable = False

    def refuses(self) -> bool:
        """Tell whether nothing may be changed; the user is told, too."""
        if self.locked:
            self.say(_LOCKED)
        return self.locked

    def shown(self) -> SliceIndex | None:
        """Tell which slice is shown; where it is none, the user is told what to do."""
        shown = self.layers.shown_slice()
        if shown is None:
            self.say(self.layers.other_time() or say_no_slice(self.image_layer))
        return shown

    def n_seen(self, axis: int) -> float:
        """How many slices to each side are seen through the shown one."""
        return self.radius / self.session.spacing[axis]

    def row_at_mouse(self) -> tuple[int, int] | None:
        """Find the click that is nearest to the mouse, of those in view, and the axis across the view."""
        shown = self.shown()
        if shown is None or self.locked:
            return None
        axis, points = shown[0], self.clicks.points
        rows = rows_in_view(points, shown, self.n_seen(axis))
        if not rows:
            self.say("No click is in view here")
            return None
        plane = [each for each in range(3) if each != axis]
        apart: NDArray[np.float64] = (points[rows] - self.view.mouse_on(self.image_layer))[:, plane]
        return rows[int(np.linalg.norm(apart * np.array(self.session.spacing)[plane], axis=1).argmin())], axis


def _spacing(grid: Grid) -> Spacing:
    z, y, x = np.abs(grid.scale)
    return float(z), float(y), float(x)
