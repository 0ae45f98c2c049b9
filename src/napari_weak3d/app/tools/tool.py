"""What the dock asks of a tool: one of them annotates at a time, each for a method of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from qtpy.QtWidgets import QWidget

from napari_weak3d.io.project import AnnotationState, Kind
from napari_weak3d.types import SliceIndex


@dataclass(frozen=True)
class Words:
    """What a tool is called, and what it does, in the dock's words.

    Attributes
    ----------
    choice
        In the list of tools: "Paint slices".
    begin
        On the button of step 1, before "this image": "Paint on".
    first
        What to do before a training: "paint a slice".
    take_over
        Says what "Use this slice as annotation" does to a result.
    """

    choice: str
    begin: str
    first: str
    take_over: str


@dataclass(frozen=True)
class Obstacle:
    """What stands in the way of a training, in words.

    Attributes
    ----------
    answers
        What can be done about it, after each of which the training goes on; none: the user has to do something first.
    """

    text: str
    answers: Mapping[str, Callable[[], None]] = field(default_factory=dict)


class Tool(Protocol):
    """Annotates one image at a time, in layers of its own. A QObject; the desk holds one of each.

    Signals: ``changed()`` when anything that :meth:`state` or the paint tells has changed, ``message(text)`` for the
    user, ``next_requested()`` when it wants to know what to annotate next, answered by :meth:`show_suggestion`.

    Attributes
    ----------
    method
        The name in METHODS of what learns from it.
    kind
        Under which the project keeps it.
    """

    method: str
    kind: Kind
    words: Words
    changed: Any
    message: Any
    next_requested: Any

    @property
    def panel(self) -> QWidget:
        """What goes into the dock."""

    @property
    def layer(self) -> Any:
        """The layer that the user works in; None while there is no image."""

    @property
    def paint_layer(self) -> Any:
        """The Labels layer whose voxels belong to the annotation; None where there is none."""

    def begin(self, image_layer: Any, annotation: Any = None, *, state: Any = None) -> None:
        """Start on an image, from nothing or with what the project has kept: the annotation and its state.

        Raises
        ------
        AnnotationError
            It does not fit the image.
        """

    def lock(self) -> None:
        """Let nothing be changed: it would be lost."""

    def end(self) -> None:
        """Stop; the layers are hidden or go, and all that is annotated is kept."""

    def state(self) -> AnnotationState:
        """Give all of the annotation but the paint, as the project keeps it."""

    def find_obstacle(self) -> Obstacle | None:
        """Say what has to be settled before a training; the same question is not asked twice."""

    def preview_colours(self) -> Any:
        """Give the colormap of previews; None: many colours in turn."""

    def complete_shown(self) -> None:
        """Mark the shown slice as complete, or say why that is nothing for this tool."""

    def next_slice(self) -> None:
        """Go to what to annotate next."""

    def show_suggestion(self, slices: Sequence[SliceIndex]) -> None:
        """Take suggested slices, best first."""

    def take_over(self, labels_layer: Any, *, classes: Any = None) -> None:
        """Use what a Labels layer, a corrected result, shows in this slice.

        ``classes``: (Z, Y, X) class values of its voxels, where the model knows classes.
        """
