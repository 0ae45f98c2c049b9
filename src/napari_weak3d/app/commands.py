"""The commands that napari lists for this package, and their keys."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import napari
from qtpy.QtCore import Qt
from qtpy.QtGui import QKeySequence, QShortcut

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
_ASKING = ("train", "find_more")
"""Verbs whose keys open the dock where it is out of sight: they ask there. The others are for painting without it."""


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


def bind_keys(controller: Controller) -> None:
    """Let the keys act in all of the viewer's window, once: also while the dock floats, is hidden or closed."""
    if controller.shortcuts:
        return
    for command in COMMANDS:
        shortcut = QShortcut(QKeySequence(command.key), controller.viewer.window._qt_window)
        shortcut.setContext(Qt.ShortcutContext.WindowShortcut)
        shortcut.activated.connect(partial(_press, controller, command.verb))
        controller.shortcuts.append(shortcut)


def _press(controller: Controller, verb: str) -> None:
    if verb in _ASKING:
        _controller(controller.viewer)
    getattr(controller, verb)()


def _controller(viewer: napari.Viewer) -> Controller:
    """The viewer's controller; opens the dock where it is out of sight, since the answers appear there."""
    method, in_sight = "slices", False
    if has_controller(viewer):
        controller = controller_of(viewer)
        method = controller.desk.tool.method
        with suppress(RuntimeError):  # Qt has deleted it
            in_sight = controller.dock is not None and controller.dock.isVisible()
    if not in_sight:
        widget, _ = viewer.window.add_plugin_dock_widget("napari-weak3d", f"Weak3D: {method}")
        widget.show()  # it was hidden, or lies behind another one
        widget.raise_()
    return controller_of(viewer)
