"""``open``: what has to be there before napari starts, each told in one line."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from napari_weak3d.errors import Weak3DError

_INSTALL = 'pip install "napari>=0.9" PyQt6'


def start_napari(path: Path | None) -> None:
    """Start napari with the dock at a project or an image; returns when its window is closed.

    Raises
    ------
    Weak3DError
        There is no such path, it can be opened by nobody, or napari, Qt or a display is missing.
    """
    if path and not path.exists():
        raise Weak3DError(f"{path} does not exist: check the name", where="open", value=str(path))
    check_napari()
    check_display(sys.platform, os.environ)

    from napari_weak3d.app.opening import start

    start(path)


def check_napari() -> None:
    """Make sure that napari and some Qt can be imported.

    Raises
    ------
    Weak3DError
        One is missing; the message says what to install.
    """
    if find_spec("napari") is None:
        raise Weak3DError(f"napari is not installed here: {_INSTALL}", where="open")
    try:
        from qtpy import QtWidgets  # noqa: F401  # qtpy looks for a binding when it is imported
    except ImportError as error:  # no binding, or one whose system libraries are missing
        raise Weak3DError(f"Qt, which draws napari's window, cannot be used ({error}): {_INSTALL}", where="open") from (
            error
        )


def check_display(platform: str, environment: Mapping[str, str]) -> None:
    """Make sure that there is somewhere to open a window: Qt would end the program without one.

    Raises
    ------
    Weak3DError
        Linux without a display.
    """
    places = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    if platform.startswith("linux") and not any(environment.get(name) for name in places):
        raise Weak3DError(
            "there is no display to open a window on (DISPLAY is not set): run it on a desktop, or use train and "
            "segment, which need none",
            where="open",
        )
