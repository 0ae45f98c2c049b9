"""Openly licensed volumes from the web: where they are, how they are known, and fetching them once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari.utils import progress

from napari_weak3d.errors import Weak3DError
from napari_weak3d.types import Spacing

_TIMEOUT_S = 10.0
"""Until a server has to answer: napari waits so long."""
_CHUNK_BYTES = 2**16
_STORE = "https://gitlab.com/scikit-image/data/-/raw/2cdc5ce89b334d28f06a58c9f0ca21aa6992a5ba"
"""scikit-image's store of sample data, at a fixed commit."""


class DownloadError(Weak3DError):
    """A sample that could not be downloaded."""


@dataclass(frozen=True)
class Download:
    """A volume on the web.

    Attributes
    ----------
    title
        Name of the layers.
    url, sha256
        Where it is, and the hash of its content.
    channels
        What each of them shows.
    spacing_um
        (z, y, x), micrometres.
    licence, credit
        Under which terms, and whose it is.
    megabytes
        Size of the download.
    """

    title: str
    url: str
    sha256: str
    channels: tuple[str, ...]
    spacing_um: Spacing
    licence: str
    credit: str
    megabytes: int


CELLS = Download(
    title="Cells",
    url=f"{_STORE}/cells3d.tif",
    sha256="afc7c7d80d38bfde09788b4064ac1e64ec14e88454ab785ebdc8dbba5ca3b222",
    channels=("membranes", "nuclei"),
    spacing_um=(0.29, 0.26, 0.26),
    licence="CC0",
    credit="Allen Institute for Cell Science",
    megabytes=16,
)
"""skimage.data.cells3d: 60 x 256 x 256 voxels of a monolayer of cells."""
KIDNEY = Download(
    title="Kidney",
    url=f"{_STORE}/kidney-tissue-fluorescence.tif",
    sha256="80c0799bc58b08cf6eaa53ecd202305eb42fd7bc73746cb6c5064dbeae7e8476",
    channels=("450 nm", "515 nm", "605 nm"),
    spacing_um=(1.25, 1.24, 1.24),
    licence="CC0",
    credit="Genevieve Buckley, Monash Micro Imaging",
    megabytes=25,
)
"""skimage.data.kidney: 16 x 512 x 512 voxels of mouse kidney tissue."""


def fetch(download: Download) -> Path:
    """Return the file of a sample, downloading it the first time, with a bar in napari's activity dock.

    Raises
    ------
    DownloadError
        No network, the file is gone or another than it was, or pooch, which napari brings, is missing. Nothing is
        tried twice, so that offline the message comes at once.
    """
    try:
        import pooch  # noqa: PLC0415  # napari brings it; no other part needs it
    except ImportError:
        raise DownloadError(
            f"the sample {download.title!r} is a download, and for that pooch is missing: pip install pooch",
            where=download.title,
        ) from None
    with progress(desc=f"Downloading {download.title} ({download.megabytes} MB)", total=0) as bar:
        downloader = pooch.HTTPDownloader(progressbar=_Bar(bar), chunk_size=_CHUNK_BYTES, timeout=_TIMEOUT_S)
        try:
            file = pooch.retrieve(
                download.url,
                known_hash=f"sha256:{download.sha256}",
                path=pooch.os_cache("napari-weak3d"),
                downloader=downloader,
            )
        except (OSError, ValueError) as error:  # no network, no such file; pooch's ValueError: another content
            raise _explain(download, error) from None
    return Path(file)


def _explain(download: Download, error: Exception) -> DownloadError:
    """What to say of a download that failed; the synthetic samples need none."""
    why = "is another than it was" if isinstance(error, ValueError) else f"did not come ({type(error).__name__})"
    return DownloadError(
        f"the sample {download.title!r} ({download.megabytes} MB from {download.url.split('/')[2]}) {why}: check the "
        "network and open it again, or take one of the synthetic samples, which need none",
        where=download.title,
        value=str(error),
    )


class _Bar:
    """What pooch draws progress with, on a napari bar that the caller closes."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar
        self.total = 0

    def update(self, n: int) -> None:
        self._bar.total = self.total
        self._bar.update(n)

    def reset(self) -> None:
        """Before pooch fills the bar at the end."""
        self._bar.n = 0

    def close(self) -> None:
        """The bar is closed by whoever opened it."""
