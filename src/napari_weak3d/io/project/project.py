"""A project: a folder with images, annotations, models and predictions."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Final

from napari_weak3d.errors import AnnotationError, ModelError, StorageError, VolumeError
from napari_weak3d.io.project.annotations import AnnotationStore
from napari_weak3d.io.project.content import (
    PROJECT,
    Content,
    StoredModel,
    annotation_folder,
    checked_id,
    find_image,
    read_content,
)
from napari_weak3d.io.project.entries import ImageEntry, ModelEntry, is_id, new_id, now
from napari_weak3d.io.project.identity import SourceState, find_source, with_relative_path
from napari_weak3d.io.project.leftovers import clear_leftovers
from napari_weak3d.io.project.lock import ProjectLock
from napari_weak3d.io.project.models import copy_in, copy_out, delete_folder, look_into
from napari_weak3d.io.project.predictions import PredictionEntry, list_predictions
from napari_weak3d.io.project.schema import make_folder, to_plain, write_json
from napari_weak3d.io.project.states import KINDS, Kind
from napari_weak3d.io.project.stored import write_stored_image
from napari_weak3d.types import Volume

_MODELS, _PREDICTIONS = "models", "predictions"
_CORRECTED: Final = "corrected"


class Project:
    """An open project; made by :meth:`create` or :meth:`open`, ended by :meth:`close`.

    One process writes to a project at a time. Whoever opens it second can look at everything, and every verb that
    would write raises StorageError with ``read_only_reason``.

    Attributes
    ----------
    folder
        Where it is, absolute.
    read_only
        Whether this process may only look.
    read_only_reason
        Why, as a sentence; "" where it may write.
    locked_by
        Who else writes to it, in words; "" where nobody.
    """

    def __init__(self, folder: Path, content: Content, *, lock: ProjectLock) -> None:
        self.folder = folder
        self._content = content
        self._lock = lock
        self._stores: dict[tuple[str, Kind], AnnotationStore] = {}

    @classmethod
    def create(cls, folder: str | os.PathLike[str], *, name: str = "") -> Project:
        """Make a new project in a folder that is not there yet, or empty.

        Parameters
        ----------
        folder
            Made with its parents.
        name
            For people; "": the folder's name.

        Raises
        ------
        StorageError
            The folder holds something, or cannot be written to.
        """
        place = Path(folder).absolute()
        was_there = place.is_dir()
        make_folder(place)
        if any(place.iterdir()):
            what = "is a project already: open it" if (place / PROJECT).exists() else "is not empty: name a new folder"
            raise StorageError(f"{place} {what}", where=str(place))
        lock = ProjectLock(place)
        if lock.locked_by:
            raise StorageError(lock.reason, where=str(place))
        project = cls(place, Content(name or place.name, {}, {}), lock=lock)
        try:
            # Also where there is no lock: it is the disk's own reason that counts.
            write_json(place / PROJECT, to_plain(project._content))
            if not lock.held:
                raise StorageError(lock.reason, where=str(place))
        except StorageError:
            lock.release()
            if not was_there:
                shutil.rmtree(place, ignore_errors=True)
            raise
        return project

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> Project:
        """Open a project: for writing, or read-only where another process writes or the folder cannot be written to.

        Raises
        ------
        StorageError
            It is no project, damaged, or of a newer version.
        """
        place = Path(folder).absolute()
        read_content(place)  # before anything is written into a folder that may be none of ours
        lock = ProjectLock(place)
        if lock.held:
            clear_leftovers(place)
        try:
            return cls(place, read_content(place), lock=lock)
        except StorageError:
            lock.release()
            raise

    def close(self) -> None:
        """Let others write to it; its annotations take nothing more. A second call does nothing."""
        self._lock.release()
        for store in self._stores.values():
            store.read_only = self.read_only_reason

    def __enter__(self) -> Project:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def name(self) -> str:
        """For people."""
        return self._content.name

    @property
    def read_only(self) -> bool:
        """Whether this process may only look."""
        return not self._lock.held

    @property
    def read_only_reason(self) -> str:
        """Why it may only look, as a sentence; "" where it may write."""
        if self._lock.held:
            return ""
        return self._lock.reason or f"the project {self.folder} is closed"

    @property
    def locked_by(self) -> str:
        """Who else writes to it, in words; "" where nobody."""
        return self._lock.locked_by

    def rename(self, name: str) -> None:
        """Give the project another name.

        Raises
        ------
        StorageError
            The project is read-only, or the disk says no.
        """
        self._write(replace(self._content, name=name))

    def reload(self) -> None:
        """Read ``project.json`` anew: what the writing process has changed meanwhile."""
        self._content = read_content(self.folder)

    # images

    @property
    def images(self) -> tuple[ImageEntry, ...]:
        """All images, in the order in which they were added."""
        return tuple(self._content.images.values())

    def image(self, image_id: str) -> ImageEntry:
        """Return the image of this id, or raise VolumeError."""
        return find_image(self._content, image_id, folder=self.folder)

    def add_image(self, entry: ImageEntry) -> ImageEntry:
        """Add an image; returns its entry with the path relative to the project filled in.

        Raises
        ------
        StorageError
            The project is read-only, or the disk says no.
        VolumeError
            An image of that id is there already.
        """
        if entry.id in self._content.images or not is_id(entry.id):
            raise VolumeError(f"the image id {entry.id!r} is taken, or none: make one with new_id()", value=entry.id)
        return self._put_image(entry)

    def replace_image(self, entry: ImageEntry) -> ImageEntry:
        """Take a changed entry for the image of its id (a new name, a moved or a changed file, a new spacing).

        Raises
        ------
        VolumeError
            There is no such image.
        AnnotationError
            It is annotated, and the new shape is another: the paint would lie elsewhere.
        StorageError
            As for :meth:`add_image`.
        """
        old = self.image(entry.id)
        if old.shape != entry.shape and self.annotated(entry.id):
            raise AnnotationError(
                f"the image {old.name} is annotated with shape {old.shape} (Z, Y, X), and the new one has "
                f"{entry.shape}: add it as an image of its own",
                where=old.name,
                value=entry.shape,
            )
        if old.shape != entry.shape:
            for kind in KINDS:
                self._stores.pop((entry.id, kind), None)
        return self._put_image(entry)

    def check_source(self, image_id: str) -> SourceState:
        """Say whether an image is still the one that was added; see :func:`napari_weak3d.io.project.check_source`."""
        return find_source(self.folder, self.image(image_id))[0]

    def store_volume(
        self, volume: Volume, *, image_id: str | None = None, progress: Callable[[float], None] | None = None
    ) -> ImageEntry:
        """Write a volume into the project; see :func:`napari_weak3d.io.project.store_volume`."""
        self._check_writable()
        return write_stored_image(self.folder, volume, image_id=image_id, progress=progress)

    # annotations

    def annotations(self, image_id: str, kind: Kind = "slices") -> AnnotationStore:
        """Return the annotation of an image of a kind, which may be empty; the same object each time."""
        if (image_id, kind) not in self._stores:
            self._stores[image_id, kind] = AnnotationStore(
                annotation_folder(self.folder, image_id, kind),
                shape=self.image(image_id).shape,
                kind=kind,
                read_only=self.read_only_reason,
            )
        return self._stores[image_id, kind]

    def annotated(self, image_id: str) -> tuple[Kind, ...]:
        """Tell of which kinds there are annotations of an image; the one that was changed last comes first."""
        stores = [self.annotations(image_id, kind) for kind in KINDS]
        there = [store for store in stores if store.revision() > 0]
        return tuple(store.kind for store in sorted(there, key=lambda store: -store.changed_ns()))

    # models

    @property
    def models(self) -> tuple[ModelEntry, ...]:
        """All models, in the order in which they were added, with what their folders say now."""
        return tuple(self.model(model_id) for model_id in self._content.models)

    def model(self, model_id: str) -> ModelEntry:
        """Return the model of this id, with what its folder says now, or raise ModelError."""
        known = self._content.models.get(model_id)
        if known is None:
            raise ModelError(f"the project {self.folder} has no model {model_id}", value=model_id)
        entry = ModelEntry(model_id, known.name, known.method, images=known.images, created=known.created)
        return look_into(self.model_folder(model_id), entry)

    def model_folder(self, model_id: str) -> Path:
        """Return where a model is, or will be written."""
        return self.folder / _MODELS / checked_id(model_id)

    def add_model(self, name: str, *, method: str, images: tuple[str, ...]) -> ModelEntry:
        """Make room for a model that is to be trained; its folder appears with the first checkpoint.

        Raises
        ------
        StorageError
            The project is read-only, or the disk says no.
        """
        model_id = new_id()
        self._put_model(model_id, StoredModel(name, method, images, now()))
        return self.model(model_id)

    def rename_model(self, model_id: str, name: str) -> ModelEntry:
        """Give a model another name; errors as for :meth:`add_model`, and ModelError where there is none."""
        self.model(model_id)
        self._put_model(model_id, replace(self._content.models[model_id], name=name))
        return self.model(model_id)

    def remove_model(self, model_id: str) -> None:
        """Forget a model and delete its folder; predictions made with it stay. Errors as :meth:`rename_model`."""
        self.model(model_id)
        models = {key: value for key, value in self._content.models.items() if key != model_id}
        self._write(replace(self._content, models=models))
        delete_folder(self.model_folder(model_id))

    def import_model(self, folder: str | os.PathLike[str]) -> ModelEntry:
        """Copy a model into the project: a model folder, or a .zip of one.

        Raises
        ------
        ModelError
            There is no model of ours in it, or one of a newer version.
        StorageError
            The project is read-only, or the disk says no.
        """
        return self.list_copied(self.copy_in(folder))

    def copy_in(self, folder: str | os.PathLike[str]) -> ModelEntry:
        """Do the long part of :meth:`import_model`, on any thread; :meth:`list_copied` ends it. Raises the same."""
        self._check_writable()
        return copy_in(Path(folder), self.folder / _MODELS)

    def list_copied(self, copied: ModelEntry) -> ModelEntry:
        """Put a model on the list that is in its folder already. Raises StorageError as :meth:`import_model` does."""
        self._put_model(copied.id, StoredModel(copied.name, copied.method, copied.images, copied.created))
        return self.model(copied.id)

    def export_model(self, model_id: str, to: str | os.PathLike[str]) -> Path:
        """Copy a model to a folder, or into a .zip where ``to`` ends so; returns where it is.

        Raises
        ------
        ModelError
            There is no such model, or it is not trained yet.
        StorageError
            ``to`` holds other things than a model, or the disk says no.
        """
        self.model(model_id)
        target = Path(to)
        copy_out(self.model_folder(model_id), target)
        return target

    # predictions

    def predictions(self, image_id: str) -> tuple[PredictionEntry, ...]:
        """List the predictions of an image, newest last."""
        return tuple(p for p in list_predictions(self.folder / _PREDICTIONS) if p.image_id == image_id)

    def prediction_folder(self, prediction_id: str) -> Path:
        """Return where a prediction is, or will be written."""
        return self.folder / _PREDICTIONS / checked_id(prediction_id)

    def delete_prediction(self, prediction_id: str) -> None:
        """Delete a prediction; one that is not there is fine.

        Raises
        ------
        StorageError
            The project is read-only, or the disk says no.
        """
        self._check_writable()
        delete_folder(self.prediction_folder(prediction_id))

    def corrections(self, prediction_id: str, image_id: str) -> AnnotationStore:
        """Return what the user has corrected in a prediction, which may be nothing; the same object each time."""
        if (prediction_id, _CORRECTED) not in self._stores:
            self._stores[prediction_id, _CORRECTED] = AnnotationStore(
                self.prediction_folder(prediction_id) / _CORRECTED,
                shape=self.image(image_id).shape,
                kind=_CORRECTED,
                read_only=self.read_only_reason,
            )
        return self._stores[prediction_id, _CORRECTED]

    def delete_old_predictions(self, image_id: str, *, keep: int, spare: Collection[str] = ()) -> None:
        """Delete all predictions of an image but the newest: each may be larger than the image.

        Those that the user has corrected stay, and those whose ids are in ``spare``.

        Raises
        ------
        StorageError
            The project is read-only, or the disk says no.
        """
        for old in self.predictions(image_id)[: -max(keep, 1)]:
            if old.id not in spare and not self.corrections(old.id, image_id).painted_planes():
                self.delete_prediction(old.id)

    def _put_image(self, entry: ImageEntry) -> ImageEntry:
        complete = with_relative_path(self.folder, entry)
        self._write(replace(self._content, images={**self._content.images, entry.id: complete}))
        return complete

    def _put_model(self, model_id: str, model: StoredModel) -> None:
        self._write(replace(self._content, models={**self._content.models, model_id: model}))

    def _write(self, content: Content) -> None:
        """Write first and remember then: what the disk refuses is not believed to be there."""
        self._check_writable()
        write_json(self.folder / PROJECT, to_plain(content))
        self._content = content

    def _check_writable(self) -> None:
        if self.read_only:
            raise StorageError(self.read_only_reason, where=str(self.folder))
