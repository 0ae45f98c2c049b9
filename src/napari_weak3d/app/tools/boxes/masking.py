"""The masks of an image's boxes in the viewer: all of them to look at, and one at a time to paint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from qtpy.QtCore import QObject, Signal

from napari_weak3d.app.colours import object_colormap
from napari_weak3d.app.grid import Grid, labels_on, lay_on
from napari_weak3d.app.layers import Layers
from napari_weak3d.app.tool_layers import ToolLayers
from napari_weak3d.app.tools.boxes import steps
from napari_weak3d.app.tools.boxes.keys import MASK_KEYS, bind, unbind
from napari_weak3d.app.tools.boxes.mask_painting import MaskPainting
from napari_weak3d.app.tools.boxes.session import BoxSession
from napari_weak3d.types import SliceIndex


class Masking(QObject):
    """Shows the masks, and paints one of them while the user wants to.

    Signals
    -------
    turned()
        The painting of a mask has begun or ended.
    message(text)
        For the user.

    Parameters
    ----------
    layers, tools
        The viewer's layers, and those of tools.
    session
        Keeps boxes and masks.
    image_layer
        Whose boxes they are.
    verbs
        What the keys of a mask's layer do, by name.

    Attributes
    ----------
    all
        The Labels layer of all masks, (Z, Y, X) ids of boxes; in sight while there are any.
    """

    turned = Signal()
    message = Signal(str)

    def __init__(
        self,
        layers: Layers,
        tools: ToolLayers,
        *,
        session: BoxSession,
        image_layer: Any,
        verbs: Mapping[str, Callable[[], None]],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._layers, self._tools, self._session, self._verbs = layers, tools, session, verbs
        self._image_layer = image_layer
        self._painting: MaskPainting | None = None
        self.all = labels_on(layers.grid_of(image_layer), session.masks, name=f"{image_layer.name} masks")
        self.all.colormap, self.all.opacity, self.all.editable = object_colormap(), 0.4, False
        self._show_all()
        layers.slice_shown.connect(self._on_slice)
        session.changed.connect(self._on_changed)
        session.masks_changed.connect(self._on_masks)

    def close(self) -> None:
        """Let go of the session; the layers are taken away."""
        self._layers.slice_shown.disconnect(self._on_slice)
        self._session.changed.disconnect(self._on_changed)
        self._session.masks_changed.disconnect(self._on_masks)
        self.leave()
        self._tools.take_away(self.all)

    @property
    def layer(self) -> Any:
        """The layer of the mask that is painted; None: none is."""
        return None if self._painting is None else self._painting.layer

    def lay_on(self, grid: Grid) -> None:
        """Follow the image: its spacing was corrected, or it was moved."""
        lay_on(grid, self.all)
        if self._painting is not None:
            self._painting.lay_on(grid)

    def describe(self, shown: SliceIndex | None) -> str:
        """Say what of the mask that is painted is left; "": none is."""
        return "" if self._painting is None else self._painting.describe(shown)

    def settle(self) -> None:
        """Take what was painted last into the history."""
        if self._painting is not None and self._painting.is_valid:
            self._painting.settle()

    # ---- verbs

    def paint(self, box_id: int) -> None:
        """Paint the mask of a box, in a layer that is no larger than the box."""
        self.leave()
        painting = MaskPainting(self._session, box_id, grid=self._layers.grid_of(self._image_layer), parent=self)
        self._painting = painting
        bind(painting.layer, MASK_KEYS, verbs=self._verbs)
        self._tools.put(painting.layer)
        self._layers.activate(painting.layer)
        painting.layer.bounding_box.visible = True
        painting.follow(self._layers.shown_slice())
        self._show_all()
        self.turned.emit()

    def interpolate(self) -> None:
        """Fill the slices between those that are painted."""
        if self._painting is not None and not self._painting.interpolate():
            self.message.emit("Paint two slices with others between them first")

    def done(self) -> None:
        """Mark the mask that is painted as done, and go back to the boxes."""
        if self._painting is None:
            return
        self.settle()
        box_id = self._painting.box_id
        if box_id not in self._session.painted:
            self.message.emit(f"The mask of box {box_id} is empty: paint its object first")
            return
        self.leave()
        steps.finish(self._session, [box_id])

    def leave(self) -> None:
        """Go back to the boxes; what is painted of the mask is kept."""
        painting, self._painting = self._painting, None
        if painting is None:
            return
        painting.close()
        unbind(painting.layer, MASK_KEYS)
        painting.layer.bounding_box.visible = False
        self._tools.take_away(painting.layer)
        self._show_all()
        self.turned.emit()

    # ---- inside

    def _on_changed(self) -> None:
        if self._painting is not None and not self._painting.is_valid:
            self.leave()
        self._show_all()

    def _on_slice(self) -> None:
        if self._painting is not None:
            self._painting.follow(self._layers.shown_slice())
        self._show_all()

    def _show_all(self) -> None:
        """Show all masks while there are any, but not over the one that is painted, which is in its own layer."""
        in_view = self._tools.in_3d or self._layers.shown_slice() is not None  # not at another time point
        visible = bool(self._session.painted) and self._painting is None and in_view
        if visible != self.all.visible:
            self.all.visible = visible

    def _on_masks(self) -> None:
        self.all.refresh(extent=False)
