"""Who may import whom: etl <- analytics <- operations <- moonwalk, and etl never imports Django."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ["etl", "analytics", "operations", "moonwalk"]  # each may import those to its left, and itself
# What etl may not touch, whatever of it: Django and all that needs it.
WEB = ("django", "environ", "unfold", "celery", "dash", "django_plotly_dash", "flask", "plotly")


def imported(source: str, package: str) -> set[str]:
    """Every module that a piece of source imports, at any depth; relative ones resolved against `package`."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package.split(".")[: len(package.split(".")) - node.level + 1]) if node.level else ""
            found.add(".".join(part for part in (base, node.module) if part))
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in (
            "import_module", "import_string", "__import__"):  # fmt: skip
            found |= {a.value for a in node.args[:1] if isinstance(a, ast.Constant) and isinstance(a.value, str)}
    return found


def forbidden(room: str) -> tuple[str, ...]:
    right = ROOMS[ROOMS.index(room) + 1 :]
    return (*right, "tests", *(WEB if room == "etl" else ()))


def offences(room: str, source: str, package: str) -> set[str]:
    return {name for name in imported(source, package) if name.split(".")[0] in forbidden(room)}


@pytest.mark.parametrize("room", ROOMS)
def test_no_room_imports_those_to_its_right(room):
    files = sorted((ROOT / room).rglob("*.py"))
    assert files, f"{room} is empty: this test looks in the wrong place"
    found = {}
    for file in files:
        package = ".".join(file.relative_to(ROOT).parent.parts)
        if wrong := offences(room, file.read_text(encoding="utf-8"), package):
            found[str(file.relative_to(ROOT))] = wrong
    assert not found


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("etl", "import django"),
        ("etl", "def f():\n    from django.conf import settings"),
        ("etl", "from analytics import metrics"),
        ("etl", "import analytics.metrics as m"),
        ("analytics", "from operations.models import Order"),
        ("operations", "import importlib\nimportlib.import_module('moonwalk.celery')"),
        ("operations", "from moonwalk import settings"),
    ],
)
def test_it_sees_a_wrong_import(room, source):
    assert offences(room, source, room)


def test_it_lets_right_imports_pass():
    assert not offences(
        "operations", "from etl.errors import MoonwalkError\nfrom analytics import access", "operations"
    )
    assert not offences("etl", "import polars\nfrom etl import sources\nfrom . import staging", "etl")


def test_nobody_imports_pandas():
    files = [f for room in ROOMS for f in (ROOT / room).rglob("*.py")]
    assert not {str(f) for f in files if "pandas" in {n.split(".")[0] for n in imported(f.read_text(), "")}}
