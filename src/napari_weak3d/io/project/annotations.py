"""An annotation of one image on disk, written while the user works on it.

A folder holds a file per painted z plane, whose name tells the revision in which it was written, and ``index.json``,
which says which files are valid, and holds all that is not painted. Files are never changed; the index is written last,
and files that it no longer names are deleted after that. So whatever moment a crash comes at, the index and its files
are a whole.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

from napari_weak3d.errors import AnnotationError, StorageError
from napari_weak3d.io.atomic import write_files
from napari_weak3d.io.project.planes import decode_plane, encode_plane
from napari_weak3d.io.project.schema import from_plain, make_folder, read_json, to_plain, write_json
from napari_weak3d.io.project.states import (
    AnnotationState,
    BoxesState,
    CentroidsState,
    CorrectedState,
    Kind,
    SlicesState,
)
from napari_weak3d.types import Annotation, IntLabels

State = TypeVar("State")

ANNOTATIONS = "annotations"
INDEX = "index.json"
_PLANE_FILE = re.compile(r"\.?.*z\d+-r\d+\.plane")


@dataclass(frozen=True)
class _Index(Generic[State]):
    """What ``index.json`` holds; ``planes``: file name by z."""

    revision: int
    shape: tuple[int, int, int]
    planes: Mapping[int, str]
    state: State
    kind: Kind


_INDEXES: Mapping[Kind, type[_Index[Any]]] = {
    "slices": _Index[SlicesState],
    "centroids": _Index[CentroidsState],
    "boxes": _Index[BoxesState],
    "corrected": _Index[CorrectedState],
}


class AnnotationStore:
    """The annotation of one image, of one kind, on disk.

    Reading needs no lock and may go on in another process while one writes. Writing may be done from any thread.

    Parameters
    ----------
    folder
        Where it lives, inside a project; made with the first write.
    shape
        (Z, Y, X) of the image.
    kind
        What is annotated: "slices", ...
    read_only
        Why nothing may be written; "" where it may. The project sets it when it is closed.
    """

    def __init__(
        self, folder: Path, *, shape: tuple[int, int, int], kind: Kind = "slices", read_only: str = ""
    ) -> None:
        self.folder = folder
        self.shape = shape
        self.kind = kind
        self.read_only = read_only
        self._writing = threading.Lock()
        self._seen: tuple[tuple[int, int, int], int] | None = None  # the index file's stamp, and its revision

    def write(self, state: AnnotationState, planes: Mapping[int, IntLabels]) -> int:
        """Write what changed.

        Parameters
        ----------
        state
            All but the paint, as it is now.
        planes
            The z planes that changed, (Y, X) int32 by z; one that is all 0 is dropped from the disk. Planes not given
            stay as they are. They must not change while this runs.

        Returns
        -------
        The revision, one higher than before. Where nothing differs but the effort it stays: nobody needs to read anew.

        Raises
        ------
        StorageError
            The project is read-only, or the disk says no. What was there before is still there, whole.
        AnnotationError
            A plane is not of the image's shape, or out of its range.
        """
        if self.read_only:
            raise StorageError(self.read_only, where=str(self.folder))
        self._check_planes(planes)
        with self._writing:
            old = self._read_index() or _Index(0, self.shape, {}, state, self.kind)
            if old.revision and not planes and state == old.state:
                return old.revision
            same = old.revision > 0 and not planes and replace(state, effort_s=old.state.effort_s) == old.state
            revision = old.revision if same else old.revision + 1
            self._make_folder()
            painted = {z: plane for z, plane in planes.items() if plane.any()}
            new = {z: f"z{z:05d}-r{revision}.plane" for z in painted}
            # No index names them yet, so nobody reads them half-written: they need no other name meanwhile.
            write_files(self.folder, {new[z]: partial(encode_plane, plane) for z, plane in painted.items()})
            kept = {z: name for z, name in old.planes.items() if z not in planes}
            self._write_index(replace(old, revision=revision, planes={**kept, **new}, state=state))
            return revision

    def mend(self) -> tuple[int, ...]:
        """Go on without the planes that are damaged or missing; a damaged file stays, under another name.

        Complete slices that such a plane is a part of are complete no more: what is unpainted there is not background.

        Returns
        -------
        The z of the planes that are lost, ascending; none where all can be read.

        Raises
        ------
        StorageError
            The project is read-only, or the index is damaged.
        """
        if self.read_only:
            raise StorageError(self.read_only, where=str(self.folder))
        with self._writing:
            index = self._read_index()
            lost = [] if index is None else [z for z, name in sorted(index.planes.items()) if not self._is_whole(name)]
            if index is None or not lost:
                return ()
            for z in lost:
                damaged = self.folder / index.planes[z]
                with suppress(FileNotFoundError):
                    damaged.replace(damaged.with_name(f"{damaged.name}.damaged"))
            kept = {z: name for z, name in index.planes.items() if z not in lost}
            state = index.state
            if isinstance(state, SlicesState):
                whole = tuple((axis, at) for axis, at in state.annotated if axis == 0 and at not in lost)
                state = replace(state, annotated=whole)
            self._write_index(replace(index, revision=index.revision + 1, planes=kept, state=state))
            return tuple(lost)

    def read(self) -> Annotation | None:
        """Read the last complete revision; None where nothing was ever written.

        Raises
        ------
        StorageError
            A file is damaged or missing.
        """
        found = self.read_all()
        return None if found is None else found[0]

    def read_all(self) -> tuple[Annotation, AnnotationState, int] | None:
        """Read the annotation with its state and revision, all three of one moment; else as :meth:`read`."""
        found = self._read_whole()
        if found is None:
            return None
        planes, index = found
        return index.state.put_together(planes, shape=self.shape), index.state, index.revision

    def read_planes(self) -> dict[int, IntLabels]:
        """Read the painted planes only, (Y, X) by z; else as :meth:`read`."""
        found = self._read_whole()
        return {} if found is None else found[0]

    def painted_planes(self) -> tuple[int, ...]:
        """Tell which z planes are painted, ascending; reads no paint."""
        index = self._read_index()
        return () if index is None else tuple(sorted(index.planes))

    def state(self) -> AnnotationState | None:
        """Read all but the paint; None where nothing was ever written."""
        index = self._read_index()
        return None if index is None else index.state

    def is_empty(self) -> bool:
        """Tell whether nothing is annotated, or nothing any more; reads no paint."""
        index = self._read_index()
        return index is None or (not index.planes and index.state.is_empty)

    def revision(self) -> int:
        """Return the number of the last complete revision, 0 where there is none; cheap enough for every second."""
        try:
            status = (self.folder / INDEX).stat()
        except OSError:
            return 0
        stamp = (status.st_ino, status.st_mtime_ns, status.st_size)
        if self._seen is None or self._seen[0] != stamp:
            index = self._read_index()
            self._seen = (stamp, 0 if index is None else index.revision)
        return self._seen[1]

    def changed_ns(self) -> int:
        """Tell when the last revision was written, nanoseconds since 1970; 0 where there is none."""
        try:
            return (self.folder / INDEX).stat().st_mtime_ns
        except OSError:
            return 0

    def _write_index(self, index: _Index[Any]) -> None:
        write_json(self.folder / INDEX, to_plain(replace(index, planes=dict(sorted(index.planes.items())))))
        self._sweep(keep=frozenset(index.planes.values()))

    def _is_whole(self, name: str) -> bool:
        try:
            self._read_plane(name)
        except (StorageError, OSError):
            return False
        return True

    def _read_index(self) -> _Index[Any] | None:
        file = self.folder / INDEX
        try:
            index = from_plain(_INDEXES[self.kind], read_json(file), file=file)
        except FileNotFoundError:
            return None
        if index.shape != self.shape:
            raise StorageError(
                f"the annotation in {self.folder} was made on an image of {index.shape} (Z, Y, X), not {self.shape}",
                where=str(self.folder),
                value=index.shape,
            )
        return index

    def _read_whole(self) -> tuple[dict[int, IntLabels], _Index[Any]] | None:
        """An index and all of its planes, however often the writer is faster."""
        index = self._read_index()
        while index is not None:
            try:
                return {z: self._read_plane(name) for z, name in index.planes.items()}, index
            except FileNotFoundError as error:
                newer = self._read_index()
                if newer == index:
                    raise StorageError(
                        f"the annotation in {self.folder} is damaged: it lacks {Path(error.filename).name}",
                        where=str(self.folder),
                    ) from error
                index = newer
        return None

    def _read_plane(self, name: str) -> IntLabels:
        file = self.folder / name
        try:
            plane = decode_plane(file.read_bytes())
            if plane.shape != self.shape[1:]:
                raise ValueError(f"its shape is {plane.shape}")
        except ValueError as error:
            raise StorageError(f"the painted plane {file} is damaged: {error}", where=str(file)) from error
        return plane

    def _check_planes(self, planes: Mapping[int, IntLabels]) -> None:
        for z, plane in planes.items():
            if not 0 <= z < self.shape[0] or plane.shape != self.shape[1:]:
                raise AnnotationError(
                    f"paint of shape {plane.shape} at z {z} does not fit an image of {self.shape} (Z, Y, X)",
                    where=str(self.folder),
                    value=plane.shape,
                )

    def _make_folder(self) -> None:
        """Make it below the project; a project that is gone (a drive pulled out) is not made anew."""
        above = self.folder.parents
        project = next((place.parent for place in above if place.name == ANNOTATIONS), above[1])
        if not project.is_dir():
            raise StorageError(
                f"the project's folder {project} is gone: put it back, or plug its drive in", where=str(project)
            )
        make_folder(self.folder)

    def _sweep(self, *, keep: frozenset[str]) -> None:
        """Delete planes that the index does not name: old revisions, and what a crash left behind."""
        for file in self.folder.iterdir():
            if file.name not in keep and _PLANE_FILE.fullmatch(file.name):
                try:
                    file.unlink(missing_ok=True)
                except OSError:  # Windows: a reader has it open; the next sweep takes it
                    continue
