"""Make the pictures of the manual: python docs/make_pictures.py (takes as long as the demo, about a minute)."""

import shutil
import tempfile
from pathlib import Path

from napari_weak3d.cli import demo
from napari_weak3d.methods import load_config

IMAGES = Path(__file__).parent / "images"


def main() -> None:
    config = load_config("slices").from_settings({"minutes": demo.MINUTES})
    with tempfile.TemporaryDirectory() as folder:
        print(demo.run("slices", config=config, out=Path(folder)))
        IMAGES.mkdir(exist_ok=True)
        shutil.copy(Path(folder) / "picture.png", IMAGES / "demo.png")


if __name__ == "__main__":
    main()
