"""Copying into a slice of the paint what a model says of it, in one step."""

from __future__ import annotations

from typing import Any

from napari_weak3d.app.layers import Layers
from napari_weak3d.app.tools import edits
from napari_weak3d.app.tools.planes import name_of
from napari_weak3d.app.tools.session import PaintSession
from napari_weak3d.errors import AnnotationError
from napari_weak3d.types import IntLabels, SliceIndex


def copy_preview(session: PaintSession, layers: Layers, image_layer: Any, which: SliceIndex) -> None:
    """Put a slice's preview, or else the result in sight, into its unpainted voxels.

    Raises
    ------
    AnnotationError
        There is neither, or it cannot be told which classes the objects of the result are.
    """
    preview, result = layers.preview_of(which), layers.result_of(image_layer)
    if preview is not None:
        edit, state = edits.copy_preview(session.labels, preview, which=which, state=session.state)
    elif result is not None:
        edit, state = edits.copy_result(session.labels, result, which=which, state=session.state)
    else:
        raise AnnotationError(f"There is no preview of {name_of(which)} yet, and no result in sight: train first")
    session.step(f"copy {'result' if preview is None else 'preview'} of {name_of(which)}", state, edit=edit)


def take_over(
    session: PaintSession, layers: Layers, labels_layer: Any, which: SliceIndex, *, image_layer: Any, classes: Any
) -> None:
    """Replace a slice's paint by that of a Labels layer; ``classes``: (Z, Y, X) values of its objects, or None.

    Raises
    ------
    AnnotationError
        Its shape is not the image's, or it cannot be told which classes its values are.
    """
    labels: IntLabels = layers.labels_of(labels_layer, image_layer)
    edit, state = edits.take_over(
        session.labels,
        labels,
        which=which,
        state=session.state,
        painted=session.state.tracked,
        values="objects" if layers.is_result(labels_layer) else "classes",
        classes=classes,
    )
    session.step(f"take over {name_of(which)}", state, edit=edit)
