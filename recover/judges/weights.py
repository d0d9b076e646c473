"""What judges with weights share: where their weights are, how they are loaded, and how text is made harmless.

Nothing is loaded, or fetched from a hub, before the first answers are judged.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recover.errors import InputError
from recover.judges.framing import markers, neutral
from recover.judges.spec import digest, file_digest

if TYPE_CHECKING:
    from recover.checkpoints.checkpoint import Checkpoint

Turn = Mapping[str, str]
SENTINEL = "qzx"  # stands for every text in the bare prompt; no template contains it


@dataclass(frozen=True)
class Weights:
    """A judge's model by its path or hub id, opened on first use, like any checkpoint: no code in it runs."""

    source: str

    def is_local(self) -> bool:
        """Whether the model is on this machine. Raises InputError if it is not and the source cannot be a hub id."""
        from recover.checkpoints.checkpoint import HUB_ID

        if Path(self.source).expanduser().exists():
            return bool(self.checkpoint.config)
        if not HUB_ID.fullmatch(self.source):
            raise InputError(f"The judge's model '{self.source}' is no path here and no hub id; correct it.")
        return False

    @cached_property
    def checkpoint(self) -> "Checkpoint":
        """The checkpoint with its configuration; downloads a hub id."""
        from recover.checkpoints.checkpoint import Checkpoint

        checkpoint = Checkpoint.open(self.source)
        checkpoint.config  # noqa: B018, a model without a configuration is refused here and not in the middle of a run
        return checkpoint

    @cached_property
    def identity(self) -> str:
        """The sha256 of the weights and of the small files beside them: configuration, tokenizer, chat template."""
        home = self.checkpoint.home
        small = sorted(p for form in ("*.json", "*.jinja", "*.model", "*.txt") for p in home.glob(form))
        return digest(self.checkpoint.fingerprint, [(p.name, file_digest(p)) for p in small])

    @cached_property
    def tokenizer(self) -> Any:
        """The tokenizer beside the weights."""
        from recover.model import load

        return load.load_tokenizer(self.checkpoint)

    def load(self, auto: str) -> Any:
        """Load the model as one of transformers' `auto` classes, on the accelerator if there is one."""
        from recover.model import load
        from recover.model.device import pick_device, pick_dtype

        device = pick_device("auto")
        return load.load_model(self.checkpoint, pick_dtype("auto", self.checkpoint, device), device, auto)

    @cached_property
    def tokens(self) -> dict[str, int]:
        """The tokens that are more than text: special and added ones."""
        added: dict[str, int] = self.tokenizer.get_added_vocab()
        special = {t: self.tokenizer.convert_tokens_to_ids(t) for t in self.tokenizer.all_special_tokens}
        return {token: id_ for token, id_ in {**added, **special}.items() if len(token.strip()) > 1}

    @cached_property
    def limit(self) -> int:
        """The most tokens that the model reads, by its configuration and its tokenizer."""
        config = self.checkpoint.config
        merged = {**config, **config.get("text_config", {})}
        limits = (merged.get("max_position_embeddings"), merged.get("n_positions"), self.tokenizer.model_max_length)
        return min(number for number in limits if isinstance(number, int))


def bare(turns: Sequence[Turn]) -> list[Turn]:
    """The same turns with SENTINEL in place of every text."""
    return [{**turn, "content": SENTINEL} for turn in turns]


def harmless(turns: Sequence[Turn], scaffold: str, tokens: Iterable[str]) -> list[Turn]:
    """The same turns with the markers of the scaffold and of the tokenizer broken in their texts."""
    marks = markers(scaffold.replace(SENTINEL, ""), tokens)
    return [{**turn, "content": neutral(turn["content"], marks)} for turn in turns]
