"""The commands that napari lists for this package, and their keys."""

from __future__ import annotations

from dataclasses import dataclass

import napari

from napari_weak3d.app.controller import Controller, controller_of, has_controller


@dataclass(frozen=True)
class Command:
    """A verb of the controller, its title, its key while napari's window is active, and its function in this module."""

    title: str
    verb: str
    key: str
    function: str


COMMANDS = (
    Command("Train on my labels", "train", "Ctrl+Return", "train_on_my_labels"),
    Command("Stop", "stop", "Ctrl+.", "stop"),
    Command("Complete this slice", "complete_slice", "Ctrl+Shift+Return", "complete_this_slice"),
    Command("Next slice to paint", "suggest_next", "Ctrl+Shift+Right", "next_slice_to_paint"),
    Command("Find more cells", "find_more", "Ctrl+Shift+F", "find_more_cells"),
)


def train_on_my_labels(viewer: napari.Viewer) -> None:
    """Train a model on what is painted."""
    _controller(viewer).train()


def stop(viewer: napari.Viewer) -> None:
    """End the running job; the model so far is kept."""
    _controller(viewer).stop()


def complete_this_slice(viewer: napari.Viewer) -> None:
    """Mark the shown slice as complete: what is unpainted there is background."""
    _controller(viewer).complete_slice()


def next_slice_to_paint(viewer: napari.Viewer) -> None:
    """Go to the slice where painting helps most."""
    _controller(viewer).suggest_next()


def find_more_cells(viewer: napari.Viewer) -> None:
    """Propose more cells like those that are clicked."""
    _controller(viewer).find_more()


def _controller(viewer: napari.Viewer) -> Controller:
    """The viewer's controller; opens the dock where it is not open yet, since the answers appear there."""
    if not has_controller(viewer):
        viewer.window.add_plugin_dock_widget("napari-weak3d", "Weak3D: slices")
    return controller_of(viewer)
