"""Step 1 at work: which layer is the image, how it gets into the project, and painting on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from qtpy.QtCore import QObject, Signal

from napari_weak3d.app.desk import Desk, Work
from napari_weak3d.app.file_says import FileSays, ask_file, set_right
from napari_weak3d.app.intake import Intake, find_again
from napari_weak3d.app.projects import Projects
from napari_weak3d.app.sources import AxisRole, LayerImage, look_at, stack_of_one
from napari_weak3d.errors import AnnotationError, Weak3DError
from napari_weak3d.io.project import ImageEntry, Project
from napari_weak3d.types import Spacing


@dataclass(frozen=True)
class Choices:
    """What the user has settled about a layer; None: as the layer says."""

    role: AxisRole | None = None
    channels: tuple[int, ...] | None = None
    spacing: tuple[Spacing, str] | None = None


class Images(QObject):
    """Keeps ``desk.work`` and the panel of step 1.

    Signals
    -------
    settled()
        The image that is worked on is in the project, and can be read there by a job.
    begun(image_id)
        Another image is worked on, or the same one with another tool.
    """

    settled = Signal()
    begun = Signal(str)

    def __init__(self, desk: Desk, projects: Projects, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._desk, self._projects = desk, projects
        self._intake = Intake(desk, self)
        self._intake.settled.connect(self._on_settled)
        self._layer: Any = None
        self._choices: WeakKeyDictionary[Any, Choices] = WeakKeyDictionary()
        self._entries: WeakKeyDictionary[Any, dict[int | None, str]] = WeakKeyDictionary()
        self._said: WeakKeyDictionary[Any, FileSays | None] = WeakKeyDictionary()
        self._watched: Any = None
        panel = desk.panels.image
        panel.layer_chosen.connect(self._on_layer_chosen)
        panel.role_chosen.connect(lambda role: self._settle_choice(role=role))
        panel.channels_chosen.connect(lambda channels: self._settle_choice(channels=channels))
        panel.spacing_chosen.connect(lambda spacing, unit: self._settle_choice(spacing=(spacing, unit)))
        panel.begin_requested.connect(self.begin)
        panel.remedy_requested.connect(self._set_right)
        desk.layers.listed.connect(self.refresh)
        desk.layers.removed.connect(self._on_removed)
        desk.layers.slice_shown.connect(self._show_time)
        for tool in desk.tools.values():
            tool.changed.connect(self._follow_paint)
        projects.closing.connect(self.end)
        projects.moving.connect(lambda: self._write(desk.autosave.unwatch))
        projects.moved.connect(self.watch_again)
        self.refresh()

    @property
    def waiting(self) -> bool:
        """Whether the image that is worked on is still on its way into the project."""
        return self._desk.work is not None and self._desk.work.image_id in self._desk.unsettled

    def layer_of(self, image_id: str) -> Any:
        """Return the layer in the viewer that shows an image of the project, or None."""
        work = self._desk.work
        if work is not None and work.image_id == image_id:
            return work.layer
        for layer, entries in self._entries.items():
            if image_id in entries.values() and self._desk.layers.contains(layer):
                return layer
        return None

    def bind(self, layer: Any, image_id: str) -> None:
        """Note that a layer shows an image that is in the project already."""
        self._entries[layer] = {None: image_id}

    def forget(self) -> None:
        """Forget which layers show which images: another project is open."""
        self._entries.clear()
        self._desk.unsettled.clear()

    # ---- the panel

    def refresh(self) -> None:
        """Show the layers as they are now; the selected image is the first choice."""
        layers = self._desk.layers.image_layers()
        if not any(layer is self._layer for layer in layers):
            selected = self._desk.viewer.layers.selection.active
            self._layer = next((layer for layer in layers if layer is selected), layers[0] if layers else None)
        name = "" if self._layer is None else self._layer.name
        self._desk.panels.image.show_layers([layer.name for layer in layers], current=name)
        self._show()

    def choose(self, layer: Any) -> None:
        """Make a layer the chosen one in step 1."""
        self._layer = layer
        self.refresh()

    def _on_layer_chosen(self, name: str) -> None:
        self.choose(next(layer for layer in self._desk.layers.image_layers() if layer.name == name))

    def _show(self) -> None:
        panel = self._desk.panels.image
        if self._layer is None:
            panel.show_begin("")
            return
        chosen = self._choices.get(self._layer, Choices())
        try:
            image = look_at(self._layer, chosen.role)
        except Weak3DError as error:
            panel.show_refusal(error.message)
            return
        panel.show_axes(image.role, n=image.data.shape[0])
        panel.show_channels(image.n_channels, chosen=chosen.channels)
        panel.show_spacing(*self._spacing(image))
        self._show_what_file_says(image)
        self._show_time()

    def _show_what_file_says(self, image: LayerImage) -> None:
        """Offer what the layer's file knows and the layer does not, before anything is painted on it."""
        layer = self._layer
        if layer in self._entries:
            return
        if layer not in self._said:
            self._said[layer] = None
            self._desk.background.run(
                lambda: ask_file(image),
                done=lambda says: self._keep_said(layer, says),
                failed=lambda _: None,  # then nothing is offered
            )
        says = self._said[layer]
        if says is not None:
            self._desk.panels.image.show_note(says.text, remedy="Use what the file says")

    def _keep_said(self, layer: Any, says: FileSays | None) -> None:
        self._said[layer] = says
        if layer is self._layer and says is not None:
            self._show()

    def _set_right(self) -> None:
        says = self._said.get(self._layer)
        if says is not None:
            self._said[self._layer] = None
            self._choices.pop(self._layer, None)
            set_right(self._layer, says)
            self._desk.viewer.reset_view()
            self.refresh()

    def _spacing(self, image: LayerImage) -> tuple[Spacing, str]:
        """What the project says of the voxel size, or the user, or the layer."""
        project, image_id = self._desk.project, self._known_id(self._layer, self._time_of(image))
        if project is not None and image_id is not None:
            entry = project.image(image_id)
            return entry.spacing, entry.unit
        return self._choices.get(self._layer, Choices()).spacing or (image.spacing, image.unit)

    def _show_time(self) -> None:
        """Offer to paint on what is shown, unless that is what is painted on already."""
        panel, work = self._desk.panels.image, self._desk.work
        image = self._look()
        if image is None:
            return
        time = self._time_of(image)
        begun = work is not None and work.layer is self._layer and work.time_index == time
        panel.show_begin("" if begun else f"{self._desk.tool.words.begin} {_name_part(image, time)}")

    def _look(self) -> LayerImage | None:
        if self._layer is None:
            return None
        try:
            return look_at(self._layer, self._choices.get(self._layer, Choices()).role)
        except Weak3DError:
            return None

    def _time_of(self, image: LayerImage) -> int | None:
        """The time point in view of an image that has several."""
        if image.role != "time":
            return None
        axis = self._desk.viewer.dims.ndim - self._layer.ndim
        point = self._layer.world_to_data(self._desk.viewer.dims.point[axis:])
        return int(np.clip(round(float(point[0])), 0, image.n_times - 1))

    def _settle_choice(
        self,
        role: AxisRole | None = None,
        channels: tuple[int, ...] | None = None,
        spacing: tuple[Spacing, str] | None = None,
    ) -> None:
        """Take what the user changed in the panel, into the project too if the image is there."""
        old = self._choices.get(self._layer, Choices())
        self._choices[self._layer] = Choices(
            role or old.role, old.channels if channels is None else channels, spacing or old.spacing
        )
        image = self._look()
        project, image_id = self._desk.project, None
        if image is not None:
            image_id = self._known_id(self._layer, self._time_of(image))
        if project is not None and image_id is not None:
            entry = project.image(image_id)
            if spacing is not None:
                entry = replace(entry, spacing=spacing[0], unit=spacing[1])
            if channels is not None:
                entry = replace(entry, channels=channels)
            self._put(project, entry)
        self._show()

    def _put(self, project: Project, entry: ImageEntry) -> None:
        try:
            project.replace_image(entry)
        except Weak3DError as error:
            self._desk.complain(error)

    # ---- painting

    def begin_unless_begun(self) -> None:
        """Begin to paint on the chosen image, or its time point in view, if that is not painted on already."""
        image, work = self._look(), self._desk.work
        if image is not None and not (work and work.layer is self._layer and work.time_index == self._time_of(image)):
            self.begin()

    def begin(self) -> None:
        """Begin to paint on the chosen image, or go on; it gets into the project meanwhile."""
        image = self._look()
        if image is None or self._layer is None:
            return
        if self._layer.ndim == 2:
            self._layer.visible = False
            self.choose(self._desk.viewer.add_layer(stack_of_one(self._layer)))
            self.begin()
            return
        try:
            project = self._projects.ensure(image.name)
            time = self._time_of(image)
            image_id = self._known_id(self._layer, time) or find_again(project, image, time=time)
            if image_id is None:
                spacing, unit = self._spacing(image)
                channels = self._choices.get(self._layer, Choices()).channels
                image_id = self._intake.add(project, image, time=time, spacing=spacing, unit=unit, channels=channels)
            self.begin_on(self._layer, image_id, time_index=time)
        except Weak3DError as error:
            self._desk.complain(error)

    def go_on_with_chosen(self, entry: ImageEntry) -> None:
        """Go on with an image of the project whose voxels were lost: they are those of the layer chosen in step 1.

        Raises
        ------
        Weak3DError
            There is no such layer, it is of another shape or dtype, or the annotation cannot be read.
        """
        image, project = self._look(), self._desk.project
        if project is None or self._layer is None or image is None:
            raise AnnotationError("no image is chosen in step 1")
        time = self._time_of(image)
        self._intake.bring(project, image, entry, time=time)
        self.begin_on(self._layer, entry.id, time_index=time)

    def begin_on(self, layer: Any, image_id: str, *, time_index: int | None = None) -> None:
        """Paint on an image of the project, shown in this layer, with what is painted on it already.

        Raises
        ------
        Weak3DError
            The annotation cannot be read, or does not fit.
        """
        desk, project = self._desk, self._desk.project
        assert project is not None
        self.end()
        store = project.annotations(image_id, desk.tool.kind)
        desk.tool.begin(layer, store.read(), state=store.state())
        self._entries.setdefault(layer, {})[time_index] = image_id
        desk.work = Work(layer, image_id, time_index)
        self._layer = layer
        desk.layers.follow(layer, time_index=time_index)
        if desk.viewer.dims.ndisplay == 2 and desk.layers.shown_slice() is None:
            desk.layers.go_to((0, desk.layers.grid_of(layer).shape[0] // 2), layer)  # another image was looked at
        if project.read_only:
            desk.tool.lock()  # it would be lost
        self.watch_again()
        self.refresh()
        self._projects.changed.emit()
        self.begun.emit(image_id)

    def choose_tool(self, method: str) -> None:
        """Go on with another tool, on the same image.

        Raises
        ------
        Weak3DError
            There is no tool for this method.
        """
        desk, work = self._desk, self._desk.work
        if method == desk.tool.method:
            return
        if method not in desk.tools:
            raise Weak3DError(f"there is no tool for {method} here: {', '.join(desk.tools)}", where="method")
        self.end()
        desk.choose_tool(method)
        if work is not None and desk.project is not None:
            self._write(lambda: self.begin_on(work.layer, work.image_id, time_index=work.time_index))
        self.refresh()
        self._projects.changed.emit()

    def end(self) -> None:
        """Stop painting; what is painted goes to the disk first."""
        if self._desk.work is None:
            return
        self._write(self._desk.autosave.unwatch)
        self._desk.forget_questions()
        self._desk.tool.end()
        self._desk.layers.hide_preview()
        self._desk.work = self._watched = None
        self._show()

    def watch_again(self) -> None:
        """Keep the paint in the project where it is now."""
        work, project = self._desk.work, self._desk.project
        if work is None or project is None or project.read_only:
            return
        desk, layer = self._desk, self._desk.tool.paint_layer
        store = project.annotations(work.image_id, desk.tool.kind)
        self._watched = layer
        self._write(lambda: desk.autosave.watch(layer, store, desk.tool.state, shown=desk.layers.shown_slice))

    def _write(self, write: Callable[[], None]) -> None:
        try:
            write()
        except Weak3DError as error:
            self._desk.complain(error)

    def _follow_paint(self) -> None:
        """The tool may go on with another layer: the user's own labels."""
        if self._desk.work is not None and self._desk.tool.paint_layer is not self._watched:
            self.watch_again()

    def _on_removed(self, layer: Any) -> None:
        work = self._desk.work
        if work is None or layer is not work.layer:
            return
        self.end()
        self._desk.ask(
            f"{layer.name} was removed from the viewer. What you painted on it is in the project.",
            {"Show it again": lambda: self._show_again(layer, work), "Fine": lambda: None},
        )

    def _show_again(self, layer: Any, work: Work) -> None:
        self._desk.viewer.add_layer(layer)
        if self._desk.project is not None:
            self._write(lambda: self.begin_on(layer, work.image_id, time_index=work.time_index))

    def _on_settled(self, image_id: str) -> None:
        if self._desk.work is not None and self._desk.work.image_id == image_id:
            self.watch_again()
            self.settled.emit()

    def _known_id(self, layer: Any, time: int | None) -> str | None:
        return self._entries.get(layer, {}).get(time)


def _name_part(image: LayerImage, time: int | None) -> str:
    return "this image" if time is None else f"time point {time} of {image.n_times}"
