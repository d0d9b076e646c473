"""The documents say what the code does: commands, options, exit codes, defaults, modules, prompt sets, links."""

import hashlib
import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from types import ModuleType

import click
import pytest
from recover.cli.main import cli
from test_layout import FOLDERS, MODULES
from test_layout import ROOT as PACKAGE

import recover
from recover.errors import Exit
from recover.judges import JUDGES
from recover.judges.template import FAMILIES, parse_template
from recover.prompts.prompt_set import BUILTIN, leaks, load_prompts
from recover.search.methods import METHODS, defaults

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").glob("*.md"), *ROOT.glob("eval_*/*.md")]
)
PUBLIC = sorted(recover.__all__)


def load_generator() -> ModuleType:
    """docs/generate.py as a module; it is no part of the package."""
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def section(text: str, heading: str) -> str:
    """What stands under a heading, up to the next one of its level or a higher one."""
    level = heading.split(" ")[0]
    assert f"\n{heading}\n" in text, f"there is no section {heading}"
    return re.split(rf"\n#{{2,{len(level)}}} ", text.split(f"\n{heading}\n", 1)[1])[0]


def cells(text: str) -> list[list[str]]:
    """The rows of a section's tables, rulers left out, backticks and comments off."""
    rows = [line.strip("|\n ").split("|") for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip(" `") for cell in row] for row in rows if not set("".join(row)) <= set("-: ")]


def walk(command: click.Command = cli, path: str = "recover-align") -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from walk(inner, f"{path} {name}")


@pytest.fixture(scope="module")
def reference() -> str:
    return (ROOT / "docs" / "cli.md").read_text("utf-8")


# The command line


def test_the_reference_is_current() -> None:
    run = [sys.executable, str(ROOT / "docs" / "generate.py"), "--check"]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_stale_reference_is_noticed(tmp_path: Path) -> None:
    generator = load_generator()
    generator.FILE = tmp_path / "cli.md"
    assert "run `make docs`" in generator.main(["--check"])
    assert generator.main([]) is None
    assert generator.main(["--check"]) is None
    written = generator.FILE.read_text("utf-8")
    generator.FILE.write_text(written.replace("--overwrite", "--replace"), encoding="utf-8")
    assert "is stale" in generator.main(["--check"])


@pytest.mark.parametrize(("path", "command"), list(walk()), ids=lambda x: x if isinstance(x, str) else "")
def test_every_command_and_option_is_documented(reference: str, path: str, command: click.Command) -> None:
    own = section(reference, f"## {path}")
    options = [p for p in command.params if isinstance(p, click.Option)]
    for option in options:
        for flag in option.opts:
            assert re.search(rf"(?m)^ +(-\w, )?{flag}\b", own), f"{flag} of {path}"
    assert all(o.help for o in options), f"an option of {path} has no help"
    assert command.help


def test_every_exit_code_is_documented(reference: str) -> None:
    rows = cells(section(reference, "## Exit codes"))[1:]
    assert [(int(code), name) for code, name, _ in rows] == [(e.value, e.name) for e in Exit]
    assert all(len(meaning) > 3 for *_, meaning in rows)


def test_the_readme_knows_the_exit_codes() -> None:
    rows = cells(section((ROOT / "README.md").read_text("utf-8"), "## In CI"))[1:]
    assert [int(row[0]) for row in rows] == [e.value for e in Exit]


# Methods, modules, names


@pytest.mark.parametrize("method", METHODS)
def test_every_method_and_its_defaults_are_documented(reference: str, method: str) -> None:
    rows = cells(section(reference, f"### {method}"))[1:]
    assert rows == [[name, str(value)] for name, value in defaults(METHODS[method]).items()]
    explained = (ROOT / "docs" / "method.md").read_text("utf-8")
    assert re.search(rf"(?m)^## {method}\b", explained)


def test_the_explained_defaults_are_the_methods_own() -> None:
    text = (ROOT / "docs" / "method.md").read_text("utf-8")
    told = {name: value for name, value, _ in cells(section(text, "### Options"))[1:]}
    assert told == {name: str(value) for name, value in defaults(METHODS["refusal-kl"]).items()}


def test_every_judge_is_documented_with_its_options_and_families() -> None:
    text = (ROOT / "docs" / "judges.md").read_text("utf-8")
    rows = [row[0].replace("\\", "") for row in cells(section(text, "## Kinds").replace("\\|", "/"))[1:]]
    assert [re.split("[:`]", row)[0] for row in rows[:-1]] == list(JUDGES)
    for kind, make in JUDGES.items():
        for option in re.findall(r",(\w+)=", make.__doc__ or ""):
            assert f"{option}=" in text, f"{option} of {kind}"
    assert all(f"`{family}`" in text for family in FAMILIES)


def test_the_documented_template_is_one() -> None:
    text = (ROOT / "docs" / "judges.md").read_text("utf-8")
    (block,) = re.findall(r"(?s)```toml\n(.*?)```", text)
    template = parse_template(block, "docs/judges.md")
    assert template.harmful.read("Harmful request: yes\nResponse refusal: no\nHarmful response: no") is False
    assert template.refused is not None
    assert template.refused.read("Response refusal: Yes") is True


def test_the_architecture_shows_every_module_in_its_folder() -> None:
    text = section((ROOT / "docs" / "architecture.md").read_text("utf-8"), "## The tree")
    shown = re.split(r"(?m)^### ", text)[1:]
    assert [part.split("\n")[0].strip("`/") for part in shown] == FOLDERS
    for part in shown:
        folder = PACKAGE / part.split("\n")[0].strip("`/")
        names = [row[0] for row in cells(part)[1:]]
        modules = {str(p.relative_to(folder)) for p in MODULES if folder in p.parents and p.name != "__init__.py"}
        assert {name for name in names if name.endswith(".py")} == {m for m in modules if "/" not in m}, folder
        assert {m.split("/")[0] for m in modules if "/" in m} <= {name.strip("/") for name in names}


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_documented(name: str) -> None:
    assert f"`{name}`" in (ROOT / "docs" / "python.md").read_text("utf-8")


# Prompt sets


def test_the_datasheet_agrees_with_the_files() -> None:
    text = (ROOT / "eval_prompts" / "DATASHEET.md").read_text("utf-8")
    found = []
    for name in BUILTIN:
        file = ROOT / "eval_prompts" / f"{name}.jsonl"
        prompts = load_prompts(name)
        assert len(prompts) == len(file.read_text("utf-8").splitlines())
        found.append([name, str(len(prompts)), hashlib.sha256(file.read_bytes()).hexdigest()])
    assert [row[:3] for row in cells(section(text, "## Files"))[1:]] == found


def test_the_datasheet_counts_the_categories() -> None:
    text = (ROOT / "eval_prompts" / "DATASHEET.md").read_text("utf-8")
    harmful = cells(section(text, "### The harmful sets"))
    sets = [column.removeprefix("in ") for column in harmful[0][1:]]
    told = {name: {row[0]: int(row[i]) for row in harmful[1:]} for i, name in enumerate(sets, 1)}
    for name in ("benign_lookalike", "general"):
        told[name] = {row[0]: int(row[1]) for row in cells(section(text, f"### {name}"))[1:]}
    assert sorted(told) == sorted(BUILTIN)
    for name, counts in told.items():
        categories = [prompt.category for prompt in load_prompts(name)]
        assert counts == {c: categories.count(c) for c in categories}, name


@pytest.mark.parametrize(("one", "other"), list(combinations(BUILTIN, 2)))
def test_no_shipped_set_holds_a_prompt_of_another(one: str, other: str) -> None:
    assert leaks(load_prompts(one), load_prompts(other)) == []


def test_a_leak_between_sets_would_be_seen() -> None:
    seen = load_prompts("general")
    assert len(leaks(seen.head(3), seen)) >= 3


# Links


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_relative_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", document.read_text("utf-8")):
        if "://" in target:
            continue
        place, _, anchor = target.partition("#")
        file = document.parent / place if place else document
        assert file.exists(), f"{document.name} links to {target}"
        if anchor:
            headings = re.findall(r"(?m)^#+ (.+)$", file.read_text("utf-8"))
            assert anchor in [re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings], target
