"""Reading an annotation that may be damaged on the disk: what is whole of it is gone on with."""

from __future__ import annotations

from collections.abc import Callable

from napari_weak3d.app.message_bar import Kind
from napari_weak3d.errors import StorageError
from napari_weak3d.io.project import AnnotationStore
from napari_weak3d.types import Annotation


def read_annotation(store: AnnotationStore, *, name: str, say: Callable[[str, Kind], None]) -> Annotation | None:
    """Read an annotation; of one that is damaged what is whole, and the user is told what is lost.

    Raises
    ------
    StorageError
        Nothing of it can be read, or it is damaged and the project is read-only.
    """
    try:
        return store.read()
    except StorageError:
        lost = () if store.read_only else store.mend()
        if not lost:
            raise
    planes = ", ".join(f"z {z}" for z in lost)
    say(
        f"What was painted on {name} at {planes} was damaged on the disk and is lost; slices through it are not "
        f"complete any more. The damaged files are kept in {store.folder}",
        "error",
    )
    return store.read()
