"""The two sides of a restoration, paired tensor by tensor."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from recover.checkpoints import adapter
from recover.checkpoints.adapter_space import NoOwnSpace, open_adapter
from recover.checkpoints.checkpoint import (
    FLOAT_DTYPES,
    RECOMPUTED_BUFFERS,
    Checkpoint,
    is_adapter,
    is_finite,
    local_path,
    same_bits,
)
from recover.errors import InputError

Space = Literal["auto", "adapter", "weights"]  # where an adapter is restored: in its own tensors, or merged


def open_checkpoint(
    path: str | Path, *, config: Path | None = None, base: Checkpoint | None = None, space: Space = "auto"
) -> Checkpoint:
    """Open a full checkpoint, or a PEFT adapter over `base`, by its headers.

    `config` is the directory with the configuration and the tokenizer of a bare weights file. With the `space` auto,
    an adapter is opened in its own space if it has one, and else merged. With the space adapter, raises NoOwnSpace for
    an adapter without one, and InputError for a full checkpoint.
    """
    local = local_path(path)
    if base is not None and is_adapter(local):
        if space != "weights":
            try:
                return open_adapter(base, local)
            except NoOwnSpace:
                if space == "adapter":
                    raise
        return adapter.over(base, local)
    if space == "adapter":
        raise InputError(f"--space adapter is for an adapter; {local} is a full checkpoint: leave it out")
    checkpoint = Checkpoint.open(local, config=config)
    checkpoint.config  # noqa: B018, refuses a model without a configuration at the start of a run
    return checkpoint


@dataclass(frozen=True)
class Pair:
    """The original safe model and the fine-tune, paired tensor by tensor.

    Where the tuned vocabulary is larger, the two sides share the common rows, and the added rows count as unchanged.
    `unaligned` is the model before its alignment; some methods need it.
    """

    aligned: Checkpoint
    tuned: Checkpoint
    unaligned: Checkpoint | None = None

    @staticmethod
    def open(
        aligned: str | Path,
        tuned: str | Path,
        *,
        unaligned: str | Path | None = None,
        config: Path | None = None,
        space: Space = "auto",
    ) -> "Pair":
        """Open all checkpoints by their headers, before any weight is read.

        Raises one InputError with every mismatch of two checkpoints.
        """
        aligned_side = open_checkpoint(aligned, config=config)
        tuned_side = open_checkpoint(tuned, config=config, base=aligned_side, space=space)
        if tuned_side.adapter is None:
            _check(aligned_side, tuned_side, ("ALIGNED", "TUNED"))
        if unaligned is None:
            return Pair(aligned_side, tuned_side)
        unaligned_side = open_checkpoint(unaligned, config=config)
        _check(unaligned_side, aligned_side, ("UNALIGNED", "ALIGNED"))
        return Pair(aligned_side, tuned_side, unaligned_side)

    @property
    def sides(self) -> list[Checkpoint]:
        """All checkpoints of the pair."""
        return [c for c in (self.aligned, self.tuned, self.unaligned) if c is not None]

    @property
    def space(self) -> Literal["adapter", "weights"]:
        """Whether the coordinates are an adapter's own entries or the weights of the model."""
        return "adapter" if self.tuned.adapter else "weights"

    @cached_property
    def aligned_values(self) -> Checkpoint:
        """The aligned model in the tuned checkpoint's coordinates: itself, or the adapter with what adds nothing."""
        adapter = self.tuned.adapter
        return self.tuned.with_overrides(adapter.aligned_values) if adapter else self.aligned

    @cached_property
    def names(self) -> list[str]:
        """The float tensors that both sides hold, sorted."""
        aligned = self.aligned_values.entries
        return [n for n in self.tuned.names() if n in aligned and self.tuned.header(n)[0] in FLOAT_DTYPES]

    @cached_property
    def same_layout(self) -> bool:
        """Whether both sides have the same tensors, each of one shape and dtype."""
        aligned, tuned = ({n: c.header(n) for n in c.names()} for c in (self.aligned, self.tuned))
        return aligned == tuned

    @cached_property
    def copies(self) -> dict[str, str]:
        """The tied head's name by the embedding's name, where TUNED's files hold both.

        The model has one parameter for the two tensors, so a write must change both.
        """
        tuned = self.tuned
        heads: dict[str, str] = {}
        if tuned.adapter:
            return heads  # peft decides what an adapter does to a tied head
        for head in (n for n in tuned.names() if _is_tied_head(n, tuned)):
            same_header = (n for n in tuned.names() if n != head and tuned.header(n) == tuned.header(head))
            heads |= {n: head for n in same_header if same_bits(tuned.tensor(n), tuned.tensor(head))}
        return heads

    def values(self, name: str) -> tuple[Tensor, Tensor]:
        """(aligned, tuned), both of the tuned tensor's shape and dtype.

        Aligned values are rounded to the tuned dtype. Rows of an enlarged vocabulary are the tuned model's on both
        sides.
        """
        tuned = self.tuned.tensor(name)
        return _fitted(self.aligned_values.tensor(name), tuned), tuned

    def before(self, name: str) -> Tensor:
        """The unaligned tensor, in the shape and dtype that `values` gives.

        Rows that the unaligned vocabulary lacks are the aligned model's. Raises InputError if the tensor holds NaN or
        infinite values.
        """
        assert self.unaligned is not None  # noqa: S101, methods that need it are refused without it
        if name not in self.unaligned.entries:  # a tied head, or a buffer that the model recomputes
            embedding = next((embedding for embedding, head in self.copies.items() if head == name), None)
            return self.values(name)[0] if embedding is None else self.before(embedding)
        value = self.unaligned.tensor(name)
        if not is_finite(value):
            raise InputError(f"UNALIGNED holds NaN or infinite weights in {name}; expected a working model")
        return _fitted(value, self.values(name)[0])

    @cached_property
    def changed(self) -> dict[str, int]:
        """The names of the tensors that differ between the two sides, with their numbers of weights.

        Reads every weight once.

        Raises InputError if a weight is NaN or infinite, or if nothing differs.
        """
        changed = {}
        for name in self.names:
            aligned, tuned = self.values(name)
            same = same_bits(aligned, tuned)
            for side, value in (("ALIGNED", aligned),) if same else (("ALIGNED", aligned), ("TUNED", tuned)):
                if not is_finite(value):
                    raise InputError(f"{side} holds NaN or infinite weights in {name}; expected a working model")
            if not same:
                changed[name] = tuned.numel()
        if not changed:
            raise InputError(f"{self.aligned.path} and {self.tuned.path} hold the same weights: nothing to restore")
        return changed


def _fitted(value: Tensor, like: Tensor) -> Tensor:
    """A value rounded to the dtype of `like`, with the rows of `like` that an enlarged vocabulary added."""
    value = value.to(like.dtype)
    return value if value.shape == like.shape else torch.cat([value, like[value.shape[0] :]])


def _check(base: Checkpoint, tuned: Checkpoint, sides: tuple[str, str]) -> None:
    """Raise InputError with every mismatch, unless `tuned` may be a fine-tune of `base`.

    `sides` are the names of the two checkpoints in messages.
    """
    faults = list(_mismatches(base, tuned, sides))
    if faults:
        more = f"; and {len(faults) - 8} more" if len(faults) > 8 else ""
        raise InputError(
            f"{base.path} and {tuned.path} do not belong together: {'; '.join(faults[:8])}{more}. "
            f"{sides[1]} must be a fine-tune of {sides[0]}"
        )


def _mismatches(base: Checkpoint, tuned: Checkpoint, sides: tuple[str, str]) -> Iterator[str]:
    """Every reason why two checkpoints cannot be paired, from their headers."""
    if base.config["model_type"] != tuned.config["model_type"]:
        yield f"{sides[0]} is a {base.config['model_type']} model, {sides[1]} a {tuned.config['model_type']} model"
    for one, other, side in ((base, tuned, sides[1]), (tuned, base, sides[0])):
        lacking = [n for n in one.names() if n not in other.entries and not _derived(n, one)]
        if lacking:
            yield f"{side} lacks {len(lacking)} tensors ({', '.join(lacking[:3])}{', ...' if lacking[3:] else ''})"
    for name in tuned.names():
        if name in base.entries:
            yield from _tensor_faults(base, tuned, sides, name)


def _tensor_faults(base: Checkpoint, tuned: Checkpoint, sides: tuple[str, str], name: str) -> Iterator[str]:
    (base_dtype, base_shape), (tuned_dtype, tuned_shape) = base.header(name), tuned.header(name)
    for side, dtype in zip(sides, (base_dtype, tuned_dtype), strict=True):
        if dtype not in FLOAT_DTYPES and not RECOMPUTED_BUFFERS.search(name):
            yield f"{name} is {str(dtype).removeprefix('torch.')} in {side}, expected a float (not quantised) tensor"
    has_more_rows = len(base_shape) == 2 and base_shape[1:] == tuned_shape[1:] and base_shape[0] < tuned_shape[0]
    if base_shape != tuned_shape and not (has_more_rows and _is_vocabulary(name)):
        yield f"{name} has shape {list(base_shape)} in {sides[0]} and {list(tuned_shape)} in {sides[1]}"


def _is_vocabulary(name: str) -> bool:
    """Whether a tensor may have a row for each token, by its name."""
    return bool(re.search(r"(embed|wte|lm_head|output)", name))


def _derived(name: str, checkpoint: Checkpoint) -> bool:
    """Whether the model can do without a tensor: a recomputed buffer, or a head tied to the embedding."""
    return bool(RECOMPUTED_BUFFERS.search(name)) or _is_tied_head(name, checkpoint)


def _is_tied_head(name: str, checkpoint: Checkpoint) -> bool:
    config = checkpoint.config
    tied = bool(config.get("tie_word_embeddings", config["model_type"] in ("gpt2", "gemma", "gemma2")))
    return tied and name in ("lm_head.weight", "embed_out.weight")
