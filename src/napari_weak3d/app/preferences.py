"""What the user set on our page of napari's Preferences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from napari_weak3d.config import Device

PLUGIN = "napari-weak3d"
_PAGE = "weak3d"
"""Key of the page in the manifest, which has the titles, the bounds and the same defaults."""


@dataclass(frozen=True)
class Preferences:
    """What the dock goes by.

    Attributes
    ----------
    device
        Where to compute: "auto", "cpu", "cuda" or "mps".
    minutes
        How long to train, unless the user sets it in the dock.
    autosave_seconds
        How long after a change of the paint it is written, seconds.
    """

    device: str = Device.AUTO.value
    minutes: float = 5.0
    autosave_seconds: float = 2.0


def read() -> Preferences:
    """Return the preferences as they are now; the defaults where napari has no such page."""
    page = _find_page()
    return Preferences(**{each.name: getattr(page, each.name) for each in fields(Preferences)} if page else {})


def follow(call: Callable[[], None]) -> Callable[[], None]:
    """Call this whenever the user has changed a preference; returns what ends that."""
    page = _find_page()
    if page is None:
        return lambda: None

    def on_changed(_: Any) -> None:
        call()

    page.events.connect(on_changed)
    return lambda: page.events.disconnect(on_changed)


def _find_page() -> Any:
    """napari's settings of our page, or None."""
    try:
        from napari.settings import get_plugin_settings  # noqa: PLC0415  # there since napari 0.9

        return getattr(get_plugin_settings(PLUGIN), _PAGE)
    except (ImportError, KeyError, AttributeError):  # an older napari, or the plugin is switched off
        return None
