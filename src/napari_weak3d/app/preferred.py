"""The user's preferences at work: what is set on their page counts in the open dock at once."""

from __future__ import annotations

from napari_weak3d.app import preferences
from napari_weak3d.app.desk import Desk
from napari_weak3d.app.results import Results
from napari_weak3d.config import Device
from napari_weak3d.messages import Hello


class Preferred:
    """Keeps device line, minutes and autosave as the preferences say. Jobs read the device when they begin."""

    def __init__(self, desk: Desk, results: Results) -> None:
        self._desk, self._results = desk, results
        self._now = preferences.read()
        self._hello: Hello | None = None
        desk.panels.train.minutes.setValue(self._now.minutes)
        desk.jobs.hello.connect(self._on_hello)
        self._unfollow = preferences.follow(self._on_changed)

    def close(self) -> None:
        """Follow them no more."""
        self._unfollow()

    def _on_hello(self, hello: Hello) -> None:
        self._hello = hello
        self._show_device()

    def _show_device(self) -> None:
        self._desk.panels.train.show_device(self._hello, device=Device(preferences.read().device))

    def _on_changed(self) -> None:
        """Take over what has changed; minutes that the user has set in the dock stay when something else does."""
        before, self._now = self._now, preferences.read()
        if self._now.minutes != before.minutes:
            self._desk.panels.train.minutes.setValue(self._now.minutes)
        for autosave in (self._desk.autosave, self._results.autosave):
            autosave.set_seconds(self._now.autosave_seconds / 2)
        if self._now.device != before.device and self._hello is not None:
            self._show_device()
