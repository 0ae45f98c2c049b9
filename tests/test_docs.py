"""The manual says only what is so: its commands parse, its links lead somewhere, its Python names are there."""

import ast
import re
import shlex
import textwrap
from pathlib import Path

import pytest

import napari_weak3d
from napari_weak3d.cli.parser import make_parser
from napari_weak3d.methods import METHODS

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
COMMAND = re.compile(r"^ *(napari-weak3d [a-z].*)$", re.MULTILINE)
PYTHON = re.compile(r"```python\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)#:]+)\)")

commands = [(page, line) for page in PAGES for line in COMMAND.findall(page.read_text(encoding="utf-8"))]
snippets = [(page, code) for page in PAGES for code in PYTHON.findall(page.read_text(encoding="utf-8"))]


@pytest.mark.parametrize(("page", "line"), commands, ids=lambda value: getattr(value, "name", value))
def test_command_in_the_manual_is_one_that_the_program_takes(page, line):
    make_parser().parse_args(shlex.split(line)[1:])


def test_manual_shows_every_command():
    shown = {line.split()[1] for _, line in commands}
    assert {"demo", "weaken", "train", "segment", "evaluate", "measure", "suggest"} <= shown


@pytest.mark.parametrize(("page", "code"), snippets, ids=lambda value: getattr(value, "name", "code"))
def test_python_in_the_manual_uses_names_that_are_there(page, code):
    used = {
        node.attr
        for node in ast.walk(ast.parse(textwrap.dedent(code)))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "nw"
    }
    assert used <= set(napari_weak3d.__all__)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_of_the_manual_lead_to_files(page):
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("name", METHODS)
def test_every_method_has_its_page(name):
    assert (ROOT / "docs" / "methods" / f"{name}.md").is_file()
