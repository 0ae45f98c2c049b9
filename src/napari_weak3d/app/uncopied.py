"""Annotated images whose voxels did not get into the project: they are offered again before a training."""

from __future__ import annotations

from collections.abc import Callable

from napari_weak3d.app.desk import Desk


def offer_copies(desk: Desk, *, then: Callable[[], None]) -> None:
    """Ask whether images that a training would learn from are to be copied again; call ``then`` to go on.

    Those that are being copied then are waited for by the training.
    """
    project, work = desk.project, desk.work
    assert project is not None
    here = "" if work is None else work.image_id
    missing = [image_id for image_id in desk.uncopied if image_id == here or project.annotated(image_id)]
    if not missing:
        then()
        return

    def copy() -> None:
        for image_id in missing:
            desk.uncopied[image_id]()
        if desk.unsettled.issuperset(missing):  # else the user is asked where the image is
            then()

    def leave_out() -> None:
        for image_id in missing:
            desk.panels.project.leave_out(image_id)
        then()

    rest = [entry.id for entry in project.images if entry.id not in missing]
    others = any(image_id == here or project.annotated(image_id) for image_id in rest)  # its paint may not be saved yet
    names = ", ".join(project.image(image_id).name for image_id in missing)
    desk.ask_about_work(
        f"{names} could not be copied into the project before, and training reads it there.",
        {"Copy again and train": copy, **({"Train without": leave_out} if others else {})},
    )
