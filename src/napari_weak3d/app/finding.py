"""Find more like these: from the button of the tool that clicks to points it proposes."""

from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.QtCore import QObject

from napari_weak3d.app.desk import Desk
from napari_weak3d.app.images import Images
from napari_weak3d.app.jobs import new_job_id
from napari_weak3d.app.tools.centroids.tool import CentroidsTool
from napari_weak3d.errors import Weak3DError
from napari_weak3d.io.project import Project
from napari_weak3d.messages import Propose


class Finding(QObject):
    """Looks for cells without a click in the image that is worked on, with the newest model where there is one."""

    def __init__(self, desk: Desk, images: Images, tool: CentroidsTool, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._desk, self._images, self._tool = desk, images, tool
        tool.more_requested.connect(self.find)

    def find(self) -> None:
        """Look for more cells; a message says why it cannot be."""
        desk, project = self._desk, self._desk.writable_project()
        if project is None or desk.work is None:
            return
        if self._images.waiting:
            desk.say("The image is still being copied into the project: wait for its end, then try again")
            return
        try:
            desk.autosave.flush()
        except Weak3DError as error:
            desk.complain(error)
            return
        image = desk.work.image_id
        request = Propose(new_job_id(), str(project.folder), image, self._choose_model(project))
        desk.submit(request, done=lambda result: self._show(result, image))

    def _choose_model(self, project: Project) -> str | None:
        """The newest trained one, of this very image if there is such."""
        assert self._desk.work is not None
        image = self._desk.work.image_id
        usable = [model for model in project.models if model.trained and model.method == self._tool.method]
        of_this = [model for model in usable if image in model.images]
        return next((model.id for model in reversed(of_this or usable)), None)

    def _show(self, result: dict[str, Any], image: str) -> None:
        work = self._desk.work
        if result.get("stopped"):
            self._desk.say("The search was stopped; nothing is proposed")
        elif work is not None and work.image_id == image and self._desk.tool is self._tool:
            points = np.array(result["points"], np.float64).reshape(-1, 3)
            self._tool.show_proposals(points, np.array(result["scores"], np.float64), radius=result["radius"])
