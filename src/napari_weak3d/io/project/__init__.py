"""A project is a folder on disk: which images, what was annotated, the trained models, the predictions."""

from napari_weak3d.io.project.annotations import AnnotationStore
from napari_weak3d.io.project.content import open_annotation, read_project_image, read_project_sample
from napari_weak3d.io.project.entries import AxisRole, Fingerprint, ImageEntry, ModelEntry, new_id
from napari_weak3d.io.project.identity import SourceState, find_source, fingerprint
from napari_weak3d.io.project.images import describe_file
from napari_weak3d.io.project.models import read_settings
from napari_weak3d.io.project.places import default_project_folder, projects_folder, recent_projects
from napari_weak3d.io.project.predictions import (
    PredictionEntry,
    StoredPrediction,
    read_prediction,
    write_prediction,
)
from napari_weak3d.io.project.project import Project
from napari_weak3d.io.project.states import (
    KINDS,
    AnnotationState,
    BoxEntry,
    BoxesState,
    CentroidsState,
    CorrectedState,
    Kind,
    SlicesState,
)
from napari_weak3d.io.project.voxels import check_source, store_volume

__all__ = [
    "KINDS",
    "AnnotationState",
    "AnnotationStore",
    "AxisRole",
    "BoxEntry",
    "BoxesState",
    "CentroidsState",
    "CorrectedState",
    "Fingerprint",
    "ImageEntry",
    "Kind",
    "ModelEntry",
    "PredictionEntry",
    "Project",
    "SlicesState",
    "SourceState",
    "StoredPrediction",
    "check_source",
    "default_project_folder",
    "describe_file",
    "find_source",
    "fingerprint",
    "new_id",
    "open_annotation",
    "projects_folder",
    "read_prediction",
    "read_project_image",
    "read_project_sample",
    "read_settings",
    "recent_projects",
    "store_volume",
    "write_prediction",
]
