"""The annotation of a training's images, as it grows while the user works on."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from napari_weak3d.errors import Weak3DError
from napari_weak3d.io.annotations import check_clicks, check_drawn, check_slices
from napari_weak3d.messages import NewSamples
from napari_weak3d.types import Boxes, Centroids, Sample, Slices

_POLL_S = 1.0
_REST = 2.0
"""Times as long as the last news took, to read and to learn from, until the next are looked for."""


class AnnotationWatch:
    """Looks once a second whether the annotation of an image has a new revision.

    Parameters
    ----------
    images
        Ids, in the order of the training's samples.
    read
        Reads image and annotation of an id.
    revision
        Tells the revision of an id's annotation, cheaply.
    clock
        Seconds that never run backwards.

    Attributes
    ----------
    samples
        As they were read last. Volumes stay those that were opened first.
    note
        Why the newest annotation is not used; empty if it is.

    Raises
    ------
    Weak3DError
        An image or its annotation cannot be read at the beginning.
    """

    def __init__(
        self,
        images: Sequence[str],
        *,
        read: Callable[[str], Sample],
        revision: Callable[[str], int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._images, self._read, self._revision, self._clock = images, read, revision, clock
        # Revisions before contents: what is written in between is read again.
        self._revisions = [revision(image) for image in images]
        self._polled_at = clock()
        self._rest_s = _POLL_S
        self._given = False  # whether the job was busy with news since the last call
        self._notes: dict[int, str] = {}
        self.samples = tuple(read(image) for image in images)

    @property
    def note(self) -> str:
        """Why the newest annotation is not used; empty if it is."""
        return "; ".join(f"what is new is not used yet: {note}" for note in self._notes.values())

    def news(self) -> NewSamples | None:
        """Give the samples anew if one has changed; what is wrong with half-done work goes into the note."""
        now = self._clock()
        if self._given:
            self._rest_s, self._given = max(_POLL_S, _REST * (now - self._polled_at)), False
            self._polled_at = now
        if now - self._polled_at < self._rest_s:
            return None
        self._polled_at, self._rest_s = now, _POLL_S
        before = self.samples
        for number in range(len(self._images)):
            try:
                self._refresh(number)
            except (Weak3DError, OSError) as error:
                self._notes[number] = str(error)
        self._given = self.samples is not before
        return NewSamples(self.samples) if self._given else None

    def _refresh(self, number: int) -> None:
        revision = self._revision(self._images[number])
        if revision == self._revisions[number]:
            return
        old, new = self.samples[number], self._read(self._images[number])
        self._revisions[number] = revision  # only now: what could not be read is tried again, what is wrong is not
        sample = replace(old, annotation=new.annotation, region=new.region)
        samples = (*self.samples[:number], sample, *self.samples[number + 1 :])
        if isinstance(sample.annotation, Slices):
            check_slices(sample.annotation, sample.volume, region=sample.region)
        elif isinstance(sample.annotation, Centroids):
            check_clicks(samples)
        elif isinstance(sample.annotation, Boxes):
            check_drawn([sample])
        self._notes.pop(number, None)
        self.samples = samples
