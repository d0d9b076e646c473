"""The two sides of a restoration, paired tensor by tensor."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from recover.checkpoints import adapter
from recover.checkpoints.checkpoint import BUFFERS, FLOATS, Checkpoint, is_adapter, is_finite, local_path, same_bits
from recover.errors import InputError


def open_checkpoint(path: str | Path, *, config: Path | None = None, base: Checkpoint | None = None) -> Checkpoint:
    """Open a full checkpoint, or a PEFT adapter over `base`, by its headers. `config` is a bare file's home."""
    place = local_path(path)
    if base is not None and is_adapter(place):
        return adapter.over(base, place)
    checkpoint = Checkpoint.open(place, config=config)
    checkpoint.config  # noqa: B018, a model without a configuration is refused here and not in the middle
    return checkpoint


@dataclass(frozen=True)
class Pair:
    """The original safe model and the fine-tune, paired tensor by tensor.

    Where the tuned vocabulary is larger, the shared rows are the pair's and the added rows count as unchanged.
    `unaligned` is what the aligned model was before its alignment, where a method needs it.
    """

    aligned: Checkpoint
    tuned: Checkpoint
    unaligned: Checkpoint | None = None

    @staticmethod
    def open(
        aligned: str | Path, tuned: str | Path, *, unaligned: str | Path | None = None, config: Path | None = None
    ) -> "Pair":
        """Open all by their headers; InputError lists every mismatch of two at once, before any weight is read."""
        first = open_checkpoint(aligned, config=config)
        second = open_checkpoint(tuned, config=config, base=first)
        _check(first, second, ("ALIGNED", "TUNED"))
        if unaligned is None:
            return Pair(first, second)
        before = open_checkpoint(unaligned, config=config)
        _check(before, first, ("UNALIGNED", "ALIGNED"))
        return Pair(first, second, before)

    @property
    def sides(self) -> list[Checkpoint]:
        """All checkpoints of the pair."""
        return [c for c in (self.aligned, self.tuned, self.unaligned) if c is not None]

    @cached_property
    def names(self) -> list[str]:
        """The float tensors that both sides hold, sorted."""
        return [n for n in self.tuned.names() if n in self.aligned.entries and self.tuned.header(n)[0] in FLOATS]

    @cached_property
    def same_layout(self) -> bool:
        """Whether both sides have the same tensors, each of one shape and dtype."""
        first, second = ({n: c.header(n) for n in c.names()} for c in (self.aligned, self.tuned))
        return first == second

    @cached_property
    def copies(self) -> dict[str, str]:
        """The tied head's name by the embedding's, where TUNED's files hold both. The model has one parameter for them,
        and what is written must change in both places."""
        tuned = self.tuned
        found: dict[str, str] = {}
        for head in (n for n in tuned.names() if _is_tied_head(n, tuned)):
            like = (n for n in tuned.names() if n != head and tuned.header(n) == tuned.header(head))
            found |= {n: head for n in like if same_bits(tuned.tensor(n), tuned.tensor(head))}
        return found

    def values(self, name: str) -> tuple[Tensor, Tensor]:
        """(aligned, tuned), both of the tuned tensor's shape and dtype: aligned values are rounded to it, and rows of
        an enlarged vocabulary are the tuned model's on both sides."""
        tuned = self.tuned.tensor(name)
        return _fitted(self.aligned.tensor(name), tuned), tuned

    def before(self, name: str) -> Tensor:
        """The unaligned value, like `values`: rows that the unaligned vocabulary lacks are the aligned model's.

        Raises InputError if it is NaN or infinite.
        """
        assert self.unaligned is not None  # noqa: S101, methods that need it are refused without it
        if name not in self.unaligned.entries:  # a tied head, or a buffer, which is computed anew
            table = next((table for table, head in self.copies.items() if head == name), None)
            return self.values(name)[0] if table is None else self.before(table)
        value = self.unaligned.tensor(name)
        if not is_finite(value):
            raise InputError(f"UNALIGNED holds NaN or infinite weights in {name}; expected a working model")
        return _fitted(value, self.values(name)[0])

    @cached_property
    def changed(self) -> dict[str, int]:
        """Tensors that differ between the two sides, with their number of weights. Reads every weight once.

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
    """A value rounded to the dtype of another side's, with that side's rows where the vocabulary was enlarged."""
    value = value.to(like.dtype)
    return value if value.shape == like.shape else torch.cat([value, like[value.shape[0] :]])


def _check(first: Checkpoint, second: Checkpoint, words: tuple[str, str]) -> None:
    """InputError with every mismatch, unless the second checkpoint may be a fine-tune of the first."""
    faults = list(_mismatches(first, second, words))
    if faults:
        more = f"; and {len(faults) - 8} more" if len(faults) > 8 else ""
        raise InputError(
            f"{first.path} and {second.path} do not belong together: {'; '.join(faults[:8])}{more}. "
            f"{words[1]} must be a fine-tune of {words[0]}"
        )


def _mismatches(a: Checkpoint, f: Checkpoint, words: tuple[str, str]) -> Iterator[str]:
    """Every reason why two checkpoints cannot be paired, from their headers."""
    if a.config["model_type"] != f.config["model_type"]:
        yield f"{words[0]} is a {a.config['model_type']} model, {words[1]} a {f.config['model_type']} model"
    for one, other, word in ((a, f, words[1]), (f, a, words[0])):
        lacking = [n for n in one.names() if n not in other.entries and not _derived(n, one)]
        if lacking:
            yield f"{word} lacks {len(lacking)} tensors ({', '.join(lacking[:3])}{', ...' if lacking[3:] else ''})"
    for name in f.names():
        if name in a.entries:
            yield from _tensor_faults(a, f, words, name)


def _tensor_faults(a: Checkpoint, f: Checkpoint, words: tuple[str, str], name: str) -> Iterator[str]:
    (da, sa), (df, sf) = a.header(name), f.header(name)
    for side, dtype in zip(words, (da, df), strict=True):
        if dtype not in FLOATS and not BUFFERS.search(name):
            yield f"{name} is {str(dtype).removeprefix('torch.')} in {side}, expected a float (not quantised) tensor"
    grown = len(sa) == 2 and sa[1:] == sf[1:] and sa[0] < sf[0] and _is_vocabulary(name)
    if sa != sf and not grown:
        yield f"{name} has shape {list(sa)} in {words[0]} and {list(sf)} in {words[1]}"


def _is_vocabulary(name: str) -> bool:
    return bool(re.search(r"(embed|wte|lm_head|output)", name))


def _derived(name: str, holder: Checkpoint) -> bool:
    """Whether a tensor follows from others: a recomputed buffer, or a head tied to the embedding."""
    return bool(BUFFERS.search(name)) or _is_tied_head(name, holder)


def _is_tied_head(name: str, holder: Checkpoint) -> bool:
    tied = bool(holder.config.get("tie_word_embeddings", holder.config["model_type"] in ("gpt2", "gemma", "gemma2")))
    return tied and name in ("lm_head.weight", "embed_out.weight")
