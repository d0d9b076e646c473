"""The shape of the code: imports point one way, files stay small, the public surface is what it says."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import recover

ROOT = Path(recover.__file__).parent
CLI = Path(__file__).parents[1] / "cli"
LAYERS = [  # a module imports from lines above its own only
    {"errors", "progress"},
    {
        "attention",
        "containers",
        "continuous",
        "files",
        "locks",
        "parallel",
        "rows",
        "sampling",
        "selection",
        "server",
        "similarity",
        "stats",
    },
    {"checkpoint", "sidecar"},
    {"prompts", "streaming"},
    {"generate", "lint", "loading", "policy", "prefix", "result", "tasks"},
    {"adapter", "engine", "judges", "objective", "tables"},
    {"audit_tables", "calibration", "figures", "gate", "pair", "served", "speech", "transcript"},
    {"artifact", "report"},
    {"decision", "live", "overview", "rundir", "viewer"},
    {"asking", "audit", "card", "lm_tasks"},
    {"kept", "methods"},
    {"evaluation", "recovery"},
    {"questions"},
    {"job", "rating"},
    {"manifest"},
    {"performing"},
    {"ray_engine"},
    {"engines"},
    {"batch"},
]
FOLDERS = ("judges", "methods")
MODULES = sorted(p for p in ROOT.rglob("*.py") if p.parent.name in ("recover", *FOLDERS))


def module_name(path: Path) -> str:
    return path.parent.name if path.parent.name in FOLDERS else path.stem


def imports(path: Path) -> set[str]:
    """The modules of the package that a file imports anywhere, late imports and type-only ones included."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "recover":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("recover."):
            found.add(str(node.module).split(".")[1])
    return found


@pytest.mark.parametrize("path", [p for p in MODULES if p != ROOT / "__init__.py"], ids=lambda p: p.stem)
def test_imports_point_down(path: Path) -> None:
    level = {name: i for i, layer in enumerate(LAYERS) for name in layer}
    own = module_name(path)
    assert own in level, f"{own} has no layer"
    for name in imports(path) - {own}:
        assert level[name] < level[own], f"{own} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_modules_and_functions_are_short(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert (node.end_lineno or 0) - node.lineno <= 80, node.name


def test_the_command_line_is_thin() -> None:
    lines = [p.read_text().count("\n") for p in CLI.glob("*.py")]
    assert max(lines) <= 400
    assert sum(lines) <= 1200


def test_the_package_prints_nothing_and_knows_no_click() -> None:
    for path in MODULES:
        assert not re.search(r"^\s*(print\(|import click|from click)", path.read_text(), re.MULTILINE), path


def test_the_public_surface_is_complete_and_sorted() -> None:
    assert recover.__all__ == sorted(recover.__all__) == sorted(recover._HOMES)
    for name in recover.__all__:
        assert getattr(recover, name).__module__ == f"recover.{recover._HOMES[name]}"
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = recover.nonsense


def test_light_modules_import_no_transformers() -> None:
    light = "card, decision, errors, gate, judges, policy, progress, prompts, report, result, selection, stats, tasks"
    light += ", viewer"
    code = f"import sys; from recover import {light}; sys.exit('transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
