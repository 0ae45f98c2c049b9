"""``python -m napari_weak3d.cli``: the command line where the script is not on the path."""

import sys

from napari_weak3d.cli import main

sys.exit(main())
