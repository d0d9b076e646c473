"""A batch of small fine-tunes for tests: good ones, an adapter, and three that are broken in different ways."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cli_pairs
import torch
from safetensors.torch import load_file, save_file

DEFAULTS = """
aligned = "aligned"
[defaults]
report-set = "prompts/report.jsonl"
benign = "prompts/benign.jsonl"
harmful = "prompts/harmful.jsonl"
general = "prompts/general.jsonl"
max-new-tokens = 8
option = { steps = 3, measured = 1 }
"""
BROKEN = ("cut", "wide", "nan")  # half a file; another shape; a weight that is no number, which only reading tells
GOOD = {"one": {"tuned": "tuned"}, "two": {"tuned": "other"}, "thin": {"tuned": "adapter", "format": "patch"}}
ALL = {**GOOD, **{name: {"tuned": f"broken/{name}"} for name in BROKEN}}


def write_models(folder: Path) -> Path:
    """The pair with its prompts, a second fine-tune, an adapter, and the broken ones under `broken`."""
    cli_pairs.write_pair(folder)
    cli_pairs.save_adapter(folder / "adapter")
    shutil.copytree(folder / "tuned", folder / "other")
    for name in BROKEN:
        shutil.copytree(folder / "tuned", folder / "broken" / name)
    files = {name: folder / "broken" / name / "model.safetensors" for name in BROKEN}
    files["cut"].write_bytes(files["cut"].read_bytes()[:5000])
    for name, change in (("wide", torch.zeros(7, 5)), ("nan", torch.full((32,), torch.nan))):
        save_file({**load_file(files[name]), "model.norm.weight": change}, files[name], {"format": "pt"})
    return folder


def write_manifest(folder: Path, jobs: Mapping[str, Mapping[str, Any]], head: str = DEFAULTS) -> Path:
    """A manifest of these jobs by name; options in TOML are those in JSON here."""
    tables = [
        "\n".join(["[[job]]", f'name = "{name}"', *(f"{key} = {_toml(value)}" for key, value in options.items())])
        for name, options in jobs.items()
    ]
    file = folder / "batch.toml"
    file.write_text("\n".join([head, *tables]) + "\n", encoding="utf-8")
    return file


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(of)}" for key, of in value.items()) + " }"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{', '.join(map(_toml, value))}]"
    return f'"{value}"' if isinstance(value, str | Path) else str(value)
