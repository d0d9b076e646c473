"""The shape of the code: imports point one way, files stay small, the public surface is what it says."""

import ast
import inspect
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

import recover
from recover.search.methods import METHODS

ROOT = Path(recover.__file__).parent
CLI = Path(__file__).parents[1] / "cli"
FOLDERS = [  # a folder imports from itself and from folders before it only
    "checkpoints",
    "prompts",
    "model",
    "generation",
    "results",
    "judges",
    "evaluation",
    "search",
    "report",
    "gate",
    "jobs",
    "batch",
]
TOP = {"errors", "progress"}  # modules beside the folders, which every folder may use
MODULES = sorted(ROOT.rglob("*.py"))


def folder_of(path: Path) -> str:
    """The folder of the package that a file lies in; "" for a module beside the folders."""
    return path.relative_to(ROOT).parts[0] if path.parent != ROOT else ""


def imports(path: Path) -> set[str]:
    """The modules of the package, as dotted names, that a file imports anywhere: late and type-only ones included."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "recover":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("recover."):
            found.add(str(node.module).removeprefix("recover."))
        elif isinstance(node, ast.Import):
            found |= {a.name.removeprefix("recover.") for a in node.names if a.name.startswith("recover.")}
    return found


def forbidden(folder: str, imported: Iterable[str]) -> list[str]:
    """What a module of a folder imports and may not."""
    allowed = TOP if not folder else {*TOP, *FOLDERS[: FOLDERS.index(folder) + 1]}
    return sorted(name for name in imported if name.split(".")[0] not in allowed)


@pytest.mark.parametrize("folder", FOLDERS)
def test_folders_import_from_folders_before_them(folder: str) -> None:
    for path in (ROOT / folder).rglob("*.py"):
        assert not forbidden(folder, imports(path)), path


def test_every_folder_has_its_place() -> None:
    found = {p.name for p in ROOT.iterdir() if p.is_dir() and any(p.glob("*.py"))} - {"cli", "eval_prompts"}
    assert found == {*FOLDERS}
    assert {p.stem for p in ROOT.glob("*.py")} == {*TOP, "__init__"}
    for name in TOP:
        assert not forbidden("", imports(ROOT / f"{name}.py"))


def test_a_forbidden_import_is_seen(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text("def late():\n    from recover.report import render\n    import recover.gate.policy\n")
    assert forbidden("search", imports(module)) == ["gate.policy", "report"]
    assert forbidden("jobs", imports(module)) == []


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """A function's parameters, without self and cls."""
    given = function.args
    names = [one.arg for one in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return names[1:] if names[:1] in (["self"], ["cls"]) else names


SOURCES = [*MODULES, *sorted(CLI.glob("*.py"))]
OPTIONS_OF_METHODS = {method.__name__ for method in METHODS.values()}  # a method's own options are keyword parameters


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_modules_and_functions_are_short(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 60, node.name
            assert len(parameters(node)) <= 8 or node.name in OPTIONS_OF_METHODS, node.name


def test_the_shared_parameters_of_methods_are_few() -> None:
    for name, method in METHODS.items():
        shared = [p for p in inspect.signature(method).parameters.values() if p.kind is not p.KEYWORD_ONLY]
        assert len(shared) == 4, name


def test_no_two_public_classes_or_constants_share_a_name() -> None:
    homes: dict[str, list[str]] = {}
    for path in MODULES:
        for node in ast.parse(path.read_text()).body:
            names = [node.name] if isinstance(node, ast.ClassDef) else []
            if isinstance(node, ast.Assign):
                names = [n.id for target in node.targets for n in ast.walk(target) if isinstance(n, ast.Name)]
            for name in names:
                if name[0].isupper() and len(name) > 1:
                    homes.setdefault(name, []).append(str(path.relative_to(ROOT)))
    assert {name: places for name, places in homes.items() if len(places) > 1} == {}


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
    light = "errors progress prompts.prompt_set prompts.tasks results.schema results.statistics search.ranking"
    light += (
        " checkpoints.selection judges gate.policy gate.decide gate.formats gate.model_card report.render report.viewer"
    )
    code = f"import sys, recover.{', recover.'.join(light.split())}; sys.exit('transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
