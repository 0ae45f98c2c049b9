"""What the parts of the controller share: the viewer's things, the project, and the image that is worked on."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from qtpy.QtCore import QObject

from napari_weak3d.app.autosave import Autosave
from napari_weak3d.app.background import Background
from napari_weak3d.app.canvas_view import CanvasView
from napari_weak3d.app.image_panel import ImagePanel
from napari_weak3d.app.jobs import Jobs
from napari_weak3d.app.layers import Layers
from napari_weak3d.app.message_bar import Kind
from napari_weak3d.app.models_panel import ModelsPanel
from napari_weak3d.app.project_panel import ProjectPanel
from napari_weak3d.app.result_panel import ResultPanel
from napari_weak3d.app.tool_box import ToolBox
from napari_weak3d.app.tool_layers import ToolLayers
from napari_weak3d.app.tools.boxes.tool import BoxesTool
from napari_weak3d.app.tools.centroids.tool import CentroidsTool
from napari_weak3d.app.tools.slices import SlicesTool
from napari_weak3d.app.tools.tool import Tool
from napari_weak3d.app.train_panel import TrainPanel
from napari_weak3d.errors import ConfigError, UnsavedError, Weak3DError
from napari_weak3d.io.project import Project
from napari_weak3d.messages import Failed, Finished, Request, Suggest

Done: TypeAlias = Callable[[dict[str, Any]], None]
Lost: TypeAlias = Callable[[Failed], None]


@dataclass(frozen=True)
class Panels:
    """The parts of the dock, made once for a viewer and shown by whichever dock is open."""

    project: ProjectPanel
    image: ImagePanel
    tool: ToolBox
    train: TrainPanel
    result: ResultPanel
    models: ModelsPanel


@dataclass(frozen=True)
class Work:
    """The image that is annotated: its layer, its id in the project, and the time point, if it has several."""

    layer: Any
    image_id: str
    time_index: int | None = None


@dataclass(frozen=True)
class _Held:
    """A job that waits for images: what begins it, which ones, and what is called when it will not begin."""

    go_on: Callable[[], None]
    images: frozenset[str]
    lost: Callable[[], None]


class Desk:
    """Everything of one viewer that more than one part of the controller needs.

    Attributes
    ----------
    autosaves
        All that keep on disk what the user does: of the annotation, and of corrected results.
    background, copying
        Threads for what is short, and for images on their way into the project, which a slow disk may hold up.
    tools, tool
        All of them by method, and the one that is chosen.
    clicking
        The one that clicks cells: it asks for more than the others do.
    project
        The open one, or None.
    work
        The image that is annotated, or None.
    unsettled
        Ids of images that are on their way into the project.
    uncopied
        Images whose voxels did not get into the project, by id, and what tries it again.
    on_change, on_lost
        Called when a job begins to wait for its turn or does so no more, and when one whose turn has come cannot begin.
    """

    def __init__(self, viewer: Any, *, jobs: Jobs, autosave: Autosave) -> None:
        self.viewer = viewer
        self.jobs = jobs
        self.autosave = autosave
        self.autosaves = [autosave]
        self.background = Background()
        self.copying = Background()
        self.tool_layers = ToolLayers(viewer)
        self.layers = Layers(viewer, tools=self.tool_layers)
        self.clicking = CentroidsTool(self.layers, self.tool_layers, CanvasView(viewer))
        self.boxing = BoxesTool(self.layers, self.tool_layers)
        tools: tuple[Tool, ...] = (
            SlicesTool(self.layers),
            self.clicking,
            self.boxing,
        )
        self.tools = {tool.method: tool for tool in tools}
        self.tool = tools[0]
        self.panels = Panels(ProjectPanel(), ImagePanel(), ToolBox(tools), TrainPanel(), ResultPanel(), ModelsPanel())
        self.choose_tool(self.tool.method)
        self.project: Project | None = None
        self.work: Work | None = None
        self.unsettled: set[str] = set()
        self.uncopied: dict[str, Callable[[], None]] = {}
        self.on_change: Callable[[], None] = lambda: None
        self.on_lost: Callable[[], None] = lambda: None
        self._reminders: set[str] = set()
        self._about_work: set[str] = set()
        self._unsaved: set[str] = set()
        self._held: _Held | None = None
        self._at_end: dict[str, tuple[Done, Lost | None]] = {}
        self._next: tuple[Request, Done, Lost | None] | None = None

    def choose_tool(self, method: str) -> None:
        """Choose what is annotated with from now on, and what is trained; no image may be worked on."""
        self.tool = self.tools[method]
        self.panels.tool.show_tool(method)
        self.panels.train.set_method(method)
        self.panels.result.set_take_over_tip(self.tool.words.take_over)

    def say(self, text: str, kind: Kind = "info", *, details: str = "") -> None:
        """Tell the user something, in the panel of step 3."""
        self.panels.train.say(text, kind=kind, details=details)

    def remind(self, text: str) -> None:
        """Say what the user has to do first; it goes when something is done: :meth:`forget_reminders`."""
        self._reminders.add(text)
        self.say(text, "warning")

    def forget_reminders(self) -> None:
        """Take back what the user was reminded of."""
        if self._reminders:
            self.panels.train.messages.withdraw(self._reminders)
            self._reminders = set()

    def ask(self, text: str, answers: Mapping[str, Callable[[], None]]) -> None:
        """Ask the user something, in the panel of step 3."""
        self.panels.train.ask(text, answers)

    def ask_about_work(self, text: str, answers: Mapping[str, Callable[[], None]]) -> None:
        """Ask something that is settled at the next training, or when another image is annotated."""
        self._about_work.add(text)
        self.ask(text, answers)

    def forget_questions(self) -> None:
        """Take back what was asked about the annotation of an image."""
        if self._about_work:
            self.panels.train.messages.withdraw(self._about_work)
            self._about_work = set()

    def take_back(self, text: str) -> None:
        """Take back one question about the annotation of an image: what it says is not so any more."""
        self.panels.train.messages.withdraw({text})
        self._about_work.discard(text)

    def complain(self, error: Weak3DError) -> None:
        """Show an error where it belongs: at its field in the settings, else as a message."""
        field = error.where if isinstance(error, ConfigError) else ""
        # what is not one of ours carries its traceback
        details = str(error.value) if type(error) is Weak3DError and "\n" in str(error.value) else ""
        text = sentence(error.message, about=error.where)
        if isinstance(error, UnsavedError):
            self._unsaved.add(text)
        self.panels.train.say(text, kind="error", details=details, field=field)

    def add_autosave(self, parent: QObject) -> Autosave:
        """Make another one, as often at work as that of the annotation; it too writes before anything is let go of."""
        added = Autosave(parent, seconds=self.autosave.seconds)
        self.autosaves.append(added)
        return added

    def forget_unsaved(self) -> None:
        """Take back that what is annotated could not be saved: it is now."""
        if self._unsaved:
            self.panels.train.messages.withdraw(self._unsaved)
            self._unsaved = set()
            self.say("What you annotated is saved again")

    @property
    def busy(self) -> bool:
        """Whether there is a job that the user waits for; a search for the next slice gives way."""
        return self.waiting or (self.jobs.request is not None and not isinstance(self.jobs.request, Suggest))

    @property
    def waiting(self) -> bool:
        """Whether a job waits: for the end of one that gives way, or for images."""
        return self._next is not None or self.held

    @property
    def held(self) -> bool:
        """Whether a job waits for images that are being copied into the project."""
        return self._held is not None

    def submit(self, request: Request, *, done: Done, lost: Lost | None = None) -> bool:
        """Start a job; one that gives way is stopped first.

        Parameters
        ----------
        request
            What to do.
        done
            Gets the result when it ends well.
        lost
            Gets why when it ends badly, and nothing is said then; None: the user is told.

        Returns
        -------
        Whether it began, or will; if not, a message says why.
        """
        if self.waiting:
            self.complain(Weak3DError("another job is about to begin: stop it first, or wait for its end"))
            return False
        if isinstance(self.jobs.request, Suggest):
            self._next = (request, done, lost)
            self.jobs.stop()
            self.on_change()
            return True
        try:
            self.jobs.submit(request)
        except Weak3DError as error:
            self.complain(error)
            return False
        self._at_end[request.job] = (done, lost)
        return True

    def forget_waiting(self) -> None:
        """Let the job that waits for its turn, or for images, not begin."""
        held, self._held = self._held, None
        self._next = None
        self.on_change()
        if held is not None:
            held.lost()

    def hold(
        self, go_on: Callable[[], None], *, images: Collection[str], lost: Callable[[], None] = lambda: None
    ) -> None:
        """Let a job wait for images that are being copied into the project, until :meth:`release`.

        Parameters
        ----------
        lost
            Called where it will not begin: it was stopped, or an image could not be copied.
        """
        self._held = _Held(go_on, frozenset(images), lost)
        self.on_change()

    def release(self) -> None:
        """Go on with the job that waits for images, if they are all there."""
        held = self._held
        if held is not None and not held.images & self.unsettled:
            self._held = None
            held.go_on()
            self.on_change()

    def lose_image(self, image_id: str) -> None:
        """Call off the job that waits for an image, which could not be copied."""
        if self._held is not None and image_id in self._held.images:
            self.forget_waiting()

    def end_search(self) -> None:
        """End the search for the next slice now, if there is one: no process may be left that reads the project."""
        if isinstance(self.jobs.request, Suggest):
            self.jobs.kill()

    def end(self, report: Finished | Failed) -> bool:
        """Call what waits for a job's end, be it a bad one; then start what waits for its turn.

        Returns
        -------
        Whether a bad end is dealt with, so that nothing needs to be said.
        """
        done, lost = self._at_end.pop(report.job, (None, None))
        waiting, self._next = self._next, None
        try:
            if isinstance(report, Finished) and done is not None:
                done(report.result)
            elif isinstance(report, Failed) and lost is not None:
                lost(report)
        finally:  # an error up there must not take the next job with it
            if waiting is not None and not self.submit(waiting[0], done=waiting[1], lost=waiting[2]):
                self.on_lost()
            self.on_change()
        return lost is not None

    def writable_project(self) -> Project | None:
        """The open project if it may be written to, else None and a message that says why not."""
        if self.project is None:
            return None
        if self.project.read_only:
            self.say(sentence(self.project.read_only_reason), "warning")
            return None
        return self.project


def sentence(text: str, *, about: str = "") -> str:
    """Begin a message with a capital, unless it begins with the name of what it is about."""
    return text if about and text.startswith(about) else text[:1].upper() + text[1:]
