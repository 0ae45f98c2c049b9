"""Time points of a layer that get into the project though none of them is annotated: a model is applied to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from napari_weak3d.app.choices import LayerChoices
from napari_weak3d.app.intake import Intake
from napari_weak3d.app.projects import Projects
from napari_weak3d.app.shown_images import ShownImages


class TimePoints:
    """Enters time points into the project, with what the user has settled about their layer."""

    def __init__(self, projects: Projects, intake: Intake, choices: LayerChoices, shown: ShownImages) -> None:
        self._projects, self._intake, self._choices, self._shown = projects, intake, choices, shown

    def enter(self, layer: Any, time: int, *, then: Callable[[str], None]) -> None:
        """Get a time point of a layer into the project, where it is not there yet; what is worked on stays.

        Parameters
        ----------
        then
            Called with its id once the project knows it; its voxels may be on their way.

        Raises
        ------
        Weak3DError
            The layer is no image, or the project cannot be written to.
        """
        image = self._choices.look(layer)
        known = self._shown.id_of(layer, time)
        if known is not None:
            then(known)
            return

        def bind(image_id: str) -> None:
            self._shown.bind(layer, image_id, time=time)
            then(image_id)

        settings = self._choices.settings_for(layer, image, time)
        self._intake.enter(self._projects.ensure(image.name), image, settings, time=time, then=bind)
