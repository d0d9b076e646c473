"""Checkpoints on disk: opened lazily, read through memory maps, never executed.

A checkpoint is a Hugging Face directory, a `.safetensors` file or a `.pt`/`.pth`/`.bin` state dict. Opening reads
headers only. Every tensor has a *canonical name*: its key without the prefixes of wrapping modules (`module.`,
`model.`, `transformer.`, ...). So the same weights have the same names in every kind of file.
"""

import hashlib
import json
import math
import mmap
import os
import re
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from recover.checkpoints import containers
from recover.checkpoints.containers import TensorEntry
from recover.errors import InputError

if TYPE_CHECKING:
    from recover.checkpoints.adapter_space import AdapterLayout

WRAPPERS = frozenset({"module", "base_model", "model", "transformer", "gpt_neox", "language_model"})
FLOAT_DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
# Buffers that old checkpoints hold and newer models compute: not weights, never compared.
RECOMPUTED_BUFFERS = re.compile(r"(rotary_emb\.inv_freq|attn\.(bias|masked_bias)|attention\.(bias|masked_bias))$")
ADAPTER_FILES = ("adapter_model.safetensors", "adapter_model.bin")
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
HASH_THREADS = min(4, os.cpu_count() or 1)  # each thread holds at most one tensor that is computed and not mapped
COMPARED_BYTES = 1 << 20  # compared at a time: they stay in the cache, and the first difference ends the comparison
Override = Callable[[Tensor], Tensor]


def canonical(key: str) -> str:
    """A state-dict key without the prefixes of wrapping modules: `module.model.layers.0.x` becomes `layers.0.x`."""
    parts = key.split(".")
    while len(parts) > 1 and parts[0] in WRAPPERS:
        parts = parts[1:]
    return ".".join(parts)


@dataclass(frozen=True)
class Checkpoint:
    """One model's weights, read-only.

    `path` is what the user named, `root` the directory or file that holds the weights (they differ for an adapter).
    `entries` says where each tensor lies. `overrides` holds functions that compute values which no file holds (a merged
    adapter, an applied patch), each when its tensor is read. `home` is the directory with the configuration and the
    tokenizer.
    """

    path: Path
    root: Path
    entries: Mapping[str, TensorEntry]
    home: Path
    overrides: Mapping[str, Override] = field(default_factory=dict)
    settings: Path | None = None  # where the configuration lies if not in `home` (an adapter's: with its base)
    extras: tuple[Path, ...] = ()  # directories whose files are laid over `path`'s in a written copy (an adapter's)
    adapter: "AdapterLayout | None" = None  # where the entries are an adapter's own tensors: what they lie over
    resident: "Callable[[Checkpoint], Any] | None" = None  # gives a model that is in memory already these values
    # Shared by all views of the same entries: files are mapped, and tensors hashed, once.
    _open: dict[Path, mmap.mmap] = field(default_factory=dict, repr=False, compare=False)
    _digests: dict[tuple[str, Override | None], bytes] = field(default_factory=dict, repr=False, compare=False)

    @staticmethod
    def open(path: str | Path, *, config: Path | None = None) -> "Checkpoint":
        """Open a full checkpoint by its headers. `config` is the home of a bare weights file.

        Raises InputError for anything that is no readable checkpoint.
        """
        root = local_path(path)
        if is_adapter(root):
            raise InputError(f"{root} is a PEFT adapter; name the full checkpoint it was trained on before it")
        files = containers.weight_files(root) if root.is_dir() else [root]
        if not files:
            raise InputError(f"{root} holds no model: expected *.safetensors or pytorch_model*.bin with a config.json")
        home = root if root.is_dir() else Path(config or root.parent)
        return Checkpoint(root, root, _entries(files), home)

    @staticmethod
    def open_adapter_files(folder: Path) -> "Checkpoint":
        """Open an adapter's own tensors, without its base. Raises InputError if the folder holds none."""
        file = next((folder / name for name in ADAPTER_FILES if (folder / name).is_file()), None)
        if file is None:
            raise InputError(f"{folder} holds no {' or '.join(ADAPTER_FILES)} beside its adapter_config.json")
        return Checkpoint(folder, folder, _entries([file]), folder)

    @cached_property
    def config(self) -> dict[str, Any]:
        """The model's configuration; InputError if it is missing or describes a quantised model."""
        return _read_config(self.settings or self.home, self.path)

    @property
    def is_directory(self) -> bool:
        """Whether a written copy is a directory and not a single weights file."""
        return self.root.is_dir()

    @cached_property
    def files(self) -> list[Path]:
        """The weight files, sorted."""
        return sorted({e.file for e in self.entries.values()})

    def names(self) -> list[str]:
        return sorted(self.entries)

    def header(self, name: str) -> tuple[torch.dtype, tuple[int, ...]]:
        """The dtype and shape of a tensor, without reading it."""
        entry = self.entries[name]
        return entry.dtype, entry.shape

    def tensor(self, name: str) -> Tensor:
        """The tensor's values: a view of the memory-mapped file, which must not be written to."""
        entry = self.entries[name]
        value = entry.value if entry.value is not None else self._mapped(entry)
        return self.overrides[name](value) if name in self.overrides else value

    def _mapped(self, entry: TensorEntry) -> Tensor:
        if entry.file not in self._open:
            with entry.file.open("rb") as handle:
                self._open[entry.file] = mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_COPY)
        if math.prod(entry.shape) == 0:
            return torch.empty(entry.shape, dtype=entry.dtype)
        span = 1 + sum((n - 1) * s for n, s in zip(entry.shape, entry.stride, strict=True))
        buffer: Any = self._open[entry.file]
        if entry.offset % entry.dtype.itemsize:  # a container may pack tensors without alignment; those are copied
            size = span * entry.dtype.itemsize
            flat = torch.frombuffer(bytearray(buffer[entry.offset : entry.offset + size]), dtype=entry.dtype)
        else:
            flat = torch.frombuffer(buffer, dtype=entry.dtype, count=span, offset=entry.offset)
        return flat.as_strided(entry.shape, entry.stride)

    @cached_property
    def weights(self) -> int:
        """The number of weights that the files hold, tied copies and buffers included."""
        return sum(math.prod(e.shape) for e in self.entries.values())

    @cached_property
    def dtype(self) -> torch.dtype:
        """The dtype of most of the weights."""
        counts: dict[torch.dtype, int] = {}
        for e in self.entries.values():
            counts[e.dtype] = counts.get(e.dtype, 0) + math.prod(e.shape)
        return max(counts, key=lambda d: counts[d])

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over (canonical name, dtype, shape, bytes) of all tensors, in the order of names.

        The same weights have the same fingerprint in every container and sharding.
        """
        total, names = hashlib.sha256(), self.names()
        with ThreadPoolExecutor(HASH_THREADS) as pool:  # hashing leaves the interpreter's lock
            for name, digest in zip(names, pool.map(self._digest, names), strict=True):
                dtype, shape = self.header(name)
                total.update(f"{name} {dtype} {list(shape)} ".encode() + digest)
        return total.hexdigest()

    @property
    def full(self) -> "Checkpoint":
        """The checkpoint of a whole model: the base of an adapter, or this one."""
        return self.adapter.base if self.adapter else self

    @cached_property
    def model_fingerprint(self) -> str:
        """What the model's answers depend on: the fingerprint, and for an adapter that of its base too."""
        if self.adapter is None:
            return self.fingerprint
        return hashlib.sha256(f"{self.fingerprint} over {self.adapter.base.fingerprint}".encode()).hexdigest()

    def _digest(self, name: str) -> bytes:
        """The SHA-256 of a tensor's bytes, computed once for all views in which the tensor has the same values."""
        key = (name, self.overrides.get(name))
        if key not in self._digests:
            self._digests[key] = hashlib.sha256(raw_bytes(self.tensor(name))).digest()
        return self._digests[key]

    def with_overrides(self, overrides: Mapping[str, Override]) -> "Checkpoint":
        """A view of this checkpoint in which some tensors' values are computed from their present ones."""
        merged = dict(self.overrides)
        for name, function in overrides.items():
            merged[name] = _then(merged[name], function) if name in merged else function
        return replace(self, overrides=merged)


def _then(first: Override, second: Override) -> Override:
    return lambda value: second(first(value))


def raw_bytes(tensor: Tensor) -> memoryview:
    """The bytes of a tensor, row-major, without a copy if it is contiguous."""
    flat = tensor.contiguous().reshape(-1).view(torch.uint8) if tensor.numel() else torch.empty(0, dtype=torch.uint8)
    array: Any = flat.numpy()
    return memoryview(array)


def held_on_disk(value: Tensor) -> Tensor:
    """The same values in an unnamed temporary file, mapped into memory: the system may drop its pages."""
    with tempfile.TemporaryFile() as file:
        file.write(raw_bytes(value))
        file.flush()
        mapped: Any = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    return torch.frombuffer(mapped, dtype=value.dtype).view(value.shape)


def local_path(path: str | Path) -> Path:
    """The local path of a path or a hub id.

    From the hub, safetensors weights, configuration and tokenizer are downloaded. Raises InputError if there is neither
    such a path nor such a model.
    """
    local = Path(path).expanduser()
    if local.exists():
        return local
    if not HUB_ID.fullmatch(str(path)):
        raise InputError(f"{path} does not exist; expected a checkpoint directory, a weights file or a hub id")
    from huggingface_hub import snapshot_download

    patterns = ["*.safetensors", "*.json", "*.jinja", "*.model", "*.txt"]
    try:
        return Path(snapshot_download(str(path), allow_patterns=patterns))
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(f"{path} is no path here, and the model hub did not give it: {reason}") from error


def is_adapter(path: Path) -> bool:
    """Whether a path is a directory with a PEFT adapter and no full model."""
    return path.is_dir() and (path / "adapter_config.json").is_file() and not containers.weight_files(path)


def _entries(files: list[Path]) -> dict[str, TensorEntry]:
    """All tensors of the weight files by canonical name; keys that would share one name stay as they are."""
    raw: dict[str, TensorEntry] = {}
    for file in files:
        raw.update(containers.read_entries(file))
    counts: dict[str, int] = {}
    for key in raw:
        counts[canonical(key)] = counts.get(canonical(key), 0) + 1
    return {canonical(key) if counts[canonical(key)] == 1 else key: entry for key, entry in raw.items()}


def _read_config(home: Path, path: Path) -> dict[str, Any]:
    file = home / "config.json"
    if not file.is_file():
        hint = "" if path.is_dir() else "; pass --config DIR, the directory with its config.json and tokenizer"
        raise InputError(f"{path} has no config.json in {home}{hint}")
    try:
        config = json.loads(file.read_text("utf-8"))
    except ValueError as error:
        raise InputError(f"{file} is not valid JSON ({error})") from error
    if not isinstance(config, dict) or "model_type" not in config:
        raise InputError(f"{file} names no model_type; expected the configuration of a transformers model")
    if "quantization_config" in config:
        raise InputError(f"{path} is quantised; recover-align needs the float checkpoint it was made from")
    return config


def same_bits(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors of one dtype and shape hold the same bits; compares eight bytes at a time."""
    left, right = (np.frombuffer(raw_bytes(t), np.uint8) for t in (a, b))
    words_end = left.size - left.size % 8
    parts = [slice(start, min(start + COMPARED_BYTES, words_end)) for start in range(0, words_end, COMPARED_BYTES)]
    same = all(np.array_equal(left[part].view(np.uint64), right[part].view(np.uint64)) for part in parts)
    return same and np.array_equal(left[words_end:], right[words_end:])


def is_finite(value: Tensor) -> bool:
    """Whether a tensor holds no NaN and no infinity: its minimum or its maximum would show either.

    One pass that writes nothing; torch.isfinite would write a truth value for each element.
    """
    return not value.numel() or bool(torch.isfinite(torch.stack(torch.aminmax(value))).all())
