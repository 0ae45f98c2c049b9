"""Step 1 at work: which layer is the image, how it gets into the project, and painting on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from qtpy.QtCore import QObject, Signal

from napari_weak3d.app.choices import LayerChoices, name_part, time_in_view
from napari_weak3d.app.desk import Desk, Work
from napari_weak3d.app.file_advice import FileAdvice
from napari_weak3d.app.grid import turned_note
from napari_weak3d.app.intake import Intake
from napari_weak3d.app.mending import read_annotation
from napari_weak3d.app.projects import Projects
from napari_weak3d.app.replaced_images import ReplacedImages
from napari_weak3d.app.shown_images import ShownImages
from napari_weak3d.app.sources import LayerImage, stack_of_one
from napari_weak3d.app.time_points import TimePoints
from napari_weak3d.errors import AnnotationError, Weak3DError
from napari_weak3d.io.project import AxisRole, ImageEntry, Project
from napari_weak3d.types import Spacing


class Images(QObject):
    """Keeps ``desk.work`` and the panel of step 1.

    Signals
    -------
    settled()
        One more image can be read from the project by a job.
    begun(image_id)
        Another image is worked on, or the same one with another tool.

    Attributes
    ----------
    shown, replaced, time_points
        Which layers show which images of the project; which show others by now; time points that nobody annotates.
    """

    settled = Signal()
    begun = Signal(str)

    def __init__(self, desk: Desk, projects: Projects, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._desk, self._projects = desk, projects
        self._intake = Intake(desk, self)
        self._intake.settled.connect(self._on_settled)
        self._layer: Any = None
        self.shown = ShownImages(desk.layers)
        self._choices = LayerChoices(desk, self.shown)
        self.time_points = TimePoints(projects, self._intake, self._choices, self.shown)
        self.replaced = ReplacedImages(
            desk, self._intake, self._choices, self.shown, leave=self.leave, begin=self.begin_on
        )
        self._advice = FileAdvice(desk, on_advice=self._on_advice)
        self._watched: Any = None
        self._locked = False
        panel = desk.panels.image
        panel.layer_chosen.connect(self._on_layer_chosen)
        panel.role_chosen.connect(lambda role: self._settle_choice(role=role))
        panel.channels_chosen.connect(lambda channels: self._settle_choice(channels=channels))
        panel.spacing_chosen.connect(lambda spacing, unit: self._settle_choice(spacing=(spacing, unit)))
        panel.begin_requested.connect(self.begin)
        panel.remedy_requested.connect(self._set_right)
        desk.layers.listed.connect(self.refresh)
        desk.layers.slice_shown.connect(self._show_time)
        for tool in desk.tools.values():
            tool.changed.connect(self._follow_paint)
        projects.closing.connect(self.end)
        projects.moving.connect(lambda: self._write(desk.autosave.unwatch))
        projects.moved.connect(self._on_moved)
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
        found = self.shown.where(image_id)
        return None if found is None else found[0]

    def forget(self) -> None:
        """Forget which layers show which images: another project is open."""
        self.shown.forget()
        self._desk.unsettled.clear()
        self._desk.uncopied.clear()

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
        series = self.chosen_series()
        self._desk.panels.models.show_times(1 if series is None else series[1])
        if self._layer is None:
            panel.show_begin("")
            return
        try:
            image = self._choices.look(self._layer)
        except Weak3DError as error:
            panel.show_refusal(error.message)
            return
        panel.show_axes(image.role, n=image.data.shape[0])
        n_channels, channels = self._choices.channels_of(self._layer, image, self._time_of(image))
        panel.show_channels(n_channels, chosen=channels)
        panel.show_spacing(*self._choices.spacing_of(self._layer, image, self._time_of(image)), n_planes=image.shape[0])
        panel.warn_of(turned_note(self._layer))
        if self._choices.is_guess(self._layer, image):
            panel.doubt_axis(image.n_times)
        if self._layer not in self.shown:
            self._advice.offer(self._layer, image)
        self._show_time()

    def _set_right(self) -> None:
        if self._advice.take(self._layer):
            self._choices.forget(self._layer)
            self._desk.viewer.reset_view()
            self.refresh()

    def _on_advice(self, layer: Any) -> None:
        if layer is self._layer:
            self._show()

    def _show_time(self) -> None:
        """Offer to paint on what is shown, unless that is what is painted on already."""
        image = self._look()
        if image is not None:
            words = f"{self._desk.tool.words.begin} {name_part(image, self._time_of(image))}"
            self._desk.panels.image.show_begin("" if self._is_begun(image) else words)

    def _is_begun(self, image: LayerImage) -> bool:
        """Whether the chosen image is worked on already, be it in the layer of another channel."""
        work, time = self._desk.work, self._time_of(image)
        if work is None:
            return False
        same_layer = work.layer is self._layer and work.time_index == time
        return same_layer or self.shown.id_of(self._layer, time) == work.image_id

    def _look(self) -> LayerImage | None:
        if self._layer is None:
            return None
        try:
            return self._choices.look(self._layer)
        except Weak3DError:
            return None

    def _time_of(self, image: LayerImage) -> int | None:
        """The time point in view of an image that has several."""
        return time_in_view(image, self._layer, self._desk.viewer.dims)

    def _settle_choice(
        self,
        role: AxisRole | None = None,
        channels: tuple[int, ...] | None = None,
        spacing: tuple[Spacing, str] | None = None,
    ) -> None:
        """Take what the user changed in the panel, into the project too if the image is there."""
        self._choices.settle(self._layer, role=role, channels=channels, spacing=spacing)
        image, project = self._look(), self._desk.project
        entry = None if image is None else self._choices.entry_of(self._layer, self._time_of(image))
        if project is not None and entry is not None:
            if spacing is not None:
                entry = replace(entry, spacing=spacing[0], unit=spacing[1])
            if channels is not None:
                entry = replace(entry, channels=channels)
            self._write(partial(project.replace_image, entry))
        self._show()

    # ---- painting

    def begin_unless_begun(self, *, then: Callable[[], None]) -> bool:
        """Begin to paint on the chosen image, or its time point in view, if that is not painted on already.

        Then ``then`` is called, be it after the user was asked something. Returns whether there is such an image.
        """
        image = self._look()
        if image is not None and not self._is_begun(image):
            self.begin(then=then)
        elif image is not None:
            then()
        return image is not None

    def begin(self, *, then: Callable[[], None] = lambda: None) -> None:
        """Begin to paint on the chosen image, or go on; it gets into the project meanwhile; then call ``then``."""
        image = self._look_at_stack()
        if image is None:
            return
        layer, time = self._layer, self._time_of(image)
        if self._choices.is_guess(layer, image):
            self._ask_axis(image, then=then)
            return

        def go_on(known: str) -> None:
            self._begin_where_it_is(layer, known, time)
            then()

        def enter(project: Project) -> None:
            known = self.shown.id_of(layer, time)
            if known is None:
                settings = self._choices.settings_for(layer, image, time)
                self._intake.enter(project, image, settings, time=time, then=go_on)
            else:
                go_on(known)

        self._projects.with_project(image.name, enter)

    def _ask_axis(self, image: LayerImage, *, then: Callable[[], None]) -> None:
        """Ask what the first axis is that nobody has named, then begin; what is said is kept in the project."""
        layer = self._layer

        def settle(role: AxisRole) -> None:
            self._choices.settle(layer, role=role)
            self.choose(layer)
            self.begin(then=then)

        self._desk.panels.project.ask(
            f"The first axis of {image.name}, {image.n_times} long, has no name: what is it?",
            {"Time points": partial(settle, "time"), "Channels": partial(settle, "channels")},
        )

    def take_for_series(self) -> None:
        """Note that the first axis of the chosen image is time, as it was taken for: the user has said so elsewhere."""
        self._settle_choice(role="time")

    def chosen_series(self) -> tuple[Any, int] | None:
        """Return the layer that is chosen in step 1 and how many time points it has; None: it has no time."""
        image = self._look()
        return None if image is None or image.role != "time" else (self._layer, image.n_times)

    def _begin_where_it_is(self, layer: Any, image_id: str, time: int | None) -> None:
        """Paint in the layer that shows the image already, be it that of another channel or an earlier one."""
        found = self.shown.where(image_id)
        self.shown.bind(layer, image_id, time=time)
        layer, time = found or (layer, time)
        self.begin_on(layer, image_id, time_index=time)

    def _look_at_stack(self) -> LayerImage | None:
        """Look at the chosen layer; a 2D one gives way to a stack of one slice."""
        image = self._look()
        if image is not None and self._layer.ndim == 2:
            self._layer.visible = False
            self.choose(self._desk.viewer.add_layer(stack_of_one(self._layer)))
            image = self._look()
        return image

    def go_on_with_chosen(self, entry: ImageEntry, *, differs: Callable[[Callable[[], None]], None]) -> None:
        """Go on with an image of the project whose voxels were lost: they are those of the layer chosen in step 1.

        Parameters
        ----------
        differs
            Called where its voxels are others than those that were annotated, with what takes them all the same.

        Raises
        ------
        Weak3DError
            There is no such layer, it is of another shape or dtype, or it is another image of the project.
        """
        image, project, layer = self._look_at_stack(), self._desk.project, self._layer
        if project is None or image is None:
            raise AnnotationError("no image is chosen in step 1")
        time = entry.time_index if image.role == "time" else None
        other = self.shown.id_of(layer, time)
        if other not in (None, entry.id):
            raise AnnotationError(f"{layer.name} is another image of this project, {project.image(str(other)).name}")

        def begin() -> None:
            self.shown.bind(layer, entry.id, time=time)
            self._write(lambda: self.begin_on(layer, entry.id, time_index=time))

        self._intake.go_on_with(project, image, entry, then=begin, differs=differs)

    def begin_on(self, layer: Any, image_id: str, *, time_index: int | None = None) -> None:
        """Paint on an image of the project, shown in this layer, with what is painted on it already.

        Raises
        ------
        Weak3DError
            The annotation cannot be read, or does not fit, or what is painted now cannot be saved: it is stayed with.
        """
        desk, project = self._desk, self._desk.project
        assert project is not None
        self.leave()
        store = project.annotations(image_id, desk.tool.kind)
        annotation = read_annotation(store, name=project.image(image_id).name, say=desk.say)
        desk.tool.begin(layer, annotation, state=store.state())
        self.shown.bind(layer, image_id, time=time_index)
        self.shown.bring_to_sight(layer, image_id)
        desk.layers.hide_paint(but=desk.tool.paint_layer)
        desk.work = Work(layer, image_id, time_index)
        self._layer = layer
        desk.layers.follow(layer, time_index=time_index)
        if desk.viewer.dims.ndisplay == 2 and desk.layers.shown_slice() is None:
            desk.layers.go_to((0, desk.layers.grid_of(layer).shape[0] // 2), layer)  # another image was looked at
        self._locked = project.read_only
        if self._locked:
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
            There is no tool for this method, or what is painted cannot be saved: it is stayed with.
        """
        desk, work = self._desk, self._desk.work
        if method == desk.tool.method:
            return
        if method not in desk.tools:
            raise Weak3DError(f"there is no tool for {method} here: {', '.join(desk.tools)}", where="method")
        self.leave()
        desk.choose_tool(method)
        if work is not None and desk.project is not None:
            self._write(lambda: self.begin_on(work.layer, work.image_id, time_index=work.time_index))
        self.refresh()
        self._projects.changed.emit()

    def leave(self) -> None:
        """Stop painting, to go on elsewhere; raises UnsavedError before that where the disk says no."""
        if self._desk.work is not None:
            self._projects.ensure_written()
            self._desk.autosave.let_go()
            self.end()

    def end(self) -> None:
        """Stop painting; what is painted goes to the disk first, and is gone where it cannot."""
        if self._desk.work is None:
            return
        self._write(self._desk.autosave.unwatch)
        self._desk.forget_questions()
        self._desk.layers.hide_preview()
        self._desk.tool.end()
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

    def _on_moved(self) -> None:
        """Go on at the new place; what could only be looked at may be painted on there."""
        work, project = self._desk.work, self._desk.project
        if self._locked and work is not None and project is not None and not project.read_only:
            self._write(lambda: self.begin_on(work.layer, work.image_id, time_index=work.time_index))
        else:
            self.watch_again()

    def _write(self, write: Callable[[], object]) -> None:
        try:
            write()
        except Weak3DError as error:
            self._desk.complain(error)

    def _follow_paint(self) -> None:
        """The tool may go on with another layer: the user's own labels."""
        if self._desk.work is not None and self._desk.tool.paint_layer is not self._watched:
            self.watch_again()

    def _on_settled(self, image_id: str) -> None:
        if self._desk.work is not None and self._desk.work.image_id == image_id:
            self.watch_again()
        self.settled.emit()
