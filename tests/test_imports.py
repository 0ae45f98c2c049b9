"""What may be imported without what: each in a fresh interpreter."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import napari_weak3d

ROOT = Path(napari_weak3d.__file__).parent
QT_AND_NAPARI = ("napari", "qtpy", "PyQt5", "PyQt6", "PySide2", "PySide6", "magicgui", "superqt", "pyqtgraph")
HEAVY = ("torch", "scipy", "zarr", "dask", "tifffile", "numpy", "pydantic", "skimage")
LIGHT_MODULES = ("errors", "types", "config", "messages", "metrics", "measure", "samples", "io", "methods")

BLOCK = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ImportError(f"{{name}} is blocked by the test")
sys.meta_path.insert(0, Blocked())
"""


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def module_names(*, below: tuple[str, ...]) -> list[str]:
    """All modules of these top modules of the package that are there."""
    files = [file for top in below for file in (ROOT / f"{top}.py", *(ROOT / top).rglob("*.py")) if file.is_file()]
    relative = [file.relative_to(ROOT.parent).with_suffix("") for file in files]
    return [".".join(path.parts).removesuffix(".__init__") for path in relative if path.name != "__main__"]


def import_blocked(modules: list[str], *, blocked: tuple[str, ...]) -> None:
    run_python(BLOCK.format(blocked=set(blocked)) + "".join(f"import {name}\n" for name in modules))


@pytest.mark.slow
def test_engine_imports_without_qt_and_napari():
    everything = tuple(path.stem for path in ROOT.iterdir() if path.stem not in ("app", "__pycache__"))
    import_blocked(module_names(below=everything), blocked=QT_AND_NAPARI)


@pytest.mark.slow
def test_light_half_imports_without_torch():
    modules = [
        name
        for name in module_names(below=LIGHT_MODULES)
        if not name.startswith("napari_weak3d.methods.") or name.count(".") == 2 or name.endswith(".config")
    ]
    import_blocked(modules, blocked=("torch",))


@pytest.mark.slow
def test_the_app_and_the_forms_of_all_methods_come_up_without_torch(monkeypatch):
    pytest.importorskip("napari")
    pytest.importorskip("qtpy.QtWidgets")
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    imports = "".join(f"import {name}\n" for name in module_names(below=("app",)))
    forms = (
        "from qtpy.QtWidgets import QApplication\n"
        "application = QApplication([])\n"
        "from napari_weak3d.methods import METHODS, load_config\n"
        "from napari_weak3d.app.form import ConfigForm\n"
        "forms = [ConfigForm(load_config(name)) for name in METHODS]\n"
        "print(len(forms))\n"
    )
    assert int(run_python(BLOCK.format(blocked={"torch"}) + imports + forms).split()[-1]) >= 3


def test_importing_the_package_imports_nothing_heavy():
    loaded = run_python("import sys, json, napari_weak3d; print(json.dumps(sorted(sys.modules)))")
    assert not set(HEAVY) & set(json.loads(loaded))


def test_public_names_are_there():
    for name in napari_weak3d.__all__:
        assert getattr(napari_weak3d, name) is not None


def test_public_names_are_listed_for_completion():
    assert set(napari_weak3d.__all__) <= set(dir(napari_weak3d))


def test_name_that_is_not_public_is_an_attribute_error():
    with pytest.raises(AttributeError, match="segmnt"):
        napari_weak3d.segmnt  # noqa: B018


def test_command_line_imports_the_app_in_its_open_command_only():
    for file in (ROOT / "cli").rglob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
        assert not any("napari_weak3d.app" in ast.unparse(node) for node in imports), file
