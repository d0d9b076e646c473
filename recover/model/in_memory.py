"""A peft model of the caller as a pair of checkpoints: its base, and its adapter. No weight is loaded a second time."""

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from recover.checkpoints.adapter_space import NoOwnSpace, open_adapter, without_marks
from recover.checkpoints.architecture import skeleton
from recover.checkpoints.checkpoint import Checkpoint, canonical
from recover.checkpoints.containers import TensorEntry
from recover.checkpoints.pair import Pair
from recover.errors import InputError
from recover.model.live_adapter import LiveAdapter, adapter_weights
from recover.model.load import feed_head_whole


@dataclass(frozen=True)
class ModelState:
    """What a restoration may change in a model beside its values: each module's mode and each parameter's flag."""

    training: dict[nn.Module, bool]
    requires_grad: dict[nn.Parameter, bool]

    @staticmethod
    def of(model: nn.Module) -> "ModelState":
        """The state of a model now."""
        return ModelState(
            {module: module.training for module in model.modules()},
            {parameter: parameter.requires_grad for parameter in model.parameters()},
        )

    def put_back(self) -> None:
        """Give the model this state again."""
        for module, training in self.training.items():
            module.training = training
        for parameter, requires_grad in self.requires_grad.items():
            parameter.requires_grad_(requires_grad)
            parameter.grad = None


@contextlib.contextmanager
def as_pair(peft_model: Any, tokenizer: Any) -> Iterator[Pair]:
    """The base and the active adapter of a peft model, as a pair whose checkpoints are computed in this very model.

    Afterwards the adapter is on, and holds the values of the checkpoint that was loaded last, or after an exception its
    own. Training mode and requires_grad are as before; gradients are cleared. Raises InputError for an adapter whose
    aligned values are not in memory.
    """
    name = _active_adapter(peft_model)
    state, live = ModelState.of(peft_model), None
    hook = feed_head_whole(peft_model.get_base_model())
    try:
        with tempfile.TemporaryDirectory() as folder:
            base = _base(peft_model, tokenizer, Path(folder))
            tuned = _adapter(peft_model, name, base, Path(folder) / "adapter")
            assert tuned.adapter  # noqa: S101, open_adapter() gives one
            live = _Resident(peft_model, adapter_weights(peft_model, tuned.adapter, name))
            base = replace(base, resident=live.load)
            tuned = replace(tuned, resident=live.load, adapter=replace(tuned.adapter, base=base))
            try:
                yield Pair(base, tuned)
            except BaseException:
                live.load(tuned)
                raise
    finally:
        if hook is not None:
            hook.remove()
        if live is not None:
            live.leave()
        state.put_back()


@dataclass(frozen=True)
class _Resident:
    """The model in memory, into which checkpoints of its pair are loaded."""

    peft_model: Any
    weights: dict[str, Tensor]

    def load(self, checkpoint: Checkpoint) -> Any:
        """Give the model a checkpoint's values. The base's are those with the adapter turned off."""
        model = self.peft_model.get_base_model()
        if checkpoint.adapter is None:
            self.peft_model.base_model.disable_adapter_layers()
        else:
            self.peft_model.base_model.enable_adapter_layers()
            for name, parameter in self.weights.items():
                parameter.data.copy_(checkpoint.tensor(name))
        self.peft_model.eval().requires_grad_(False)
        model.live_adapter, model.streamed = LiveAdapter(self.peft_model, self.weights), None
        return model

    def leave(self) -> None:
        """Turn the adapter on, and remove what load() left on the model."""
        self.peft_model.base_model.enable_adapter_layers()
        model = self.peft_model.get_base_model()
        for attribute in ("live_adapter", "streamed"):
            if hasattr(model, attribute):
                delattr(model, attribute)


def _active_adapter(peft_model: Any) -> str:
    """The name of the one adapter that is active. Raises InputError for another model, or for several adapters."""
    from peft import PeftModel

    if not isinstance(peft_model, PeftModel):
        raise InputError(
            f"found a {type(peft_model).__name__}; restore_adapter takes a peft model, such as get_peft_model() returns"
        )
    active = peft_model.active_adapters
    if len(active) != 1:
        raise InputError(f"found {len(active)} active adapters; activate the one to restore with set_adapter()")
    return str(active[0])


def _base(peft_model: Any, tokenizer: Any, folder: Path) -> Checkpoint:
    """The model without its adapter: its weights as they are in memory, its configuration and tokenizer in a folder."""
    model = peft_model.get_base_model()
    model.config.save_pretrained(folder)
    if getattr(model, "generation_config", None) is not None:
        model.generation_config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    bare = Checkpoint(Path(model.config.name_or_path or "base"), folder, {}, folder)
    names = {canonical(key) for key in skeleton(bare).state_dict()}
    entries = {}
    for path, parameter in model.named_parameters():
        name = without_marks(path)
        if name in names:
            value = parameter.data
            entries[name] = TensorEntry(folder, name, value.dtype, (*value.shape,), value.stride(), 0, value)
    return replace(bare, entries=entries)


def _adapter(peft_model: Any, name: str, base: Checkpoint, folder: Path) -> Checkpoint:
    """The adapter as a checkpoint over its base, saved by peft into a folder."""
    peft_model.save_pretrained(folder, selected_adapters=[name], save_embedding_layers=False)
    try:
        tuned = open_adapter(base, folder if name == "default" else folder / name)
    except NoOwnSpace as error:
        raise InputError(f"the adapter {name} cannot be restored in memory: {error}") from error
    if tuned.adapter and tuned.adapter.stored:
        raise InputError(
            f"the adapter {name} trained weights of the base in place ({', '.join(sorted(tuned.adapter.stored)[:3])}), "
            "so the aligned values are not in memory; save the adapter and restore it with the command"
        )
    return replace(tuned, path=Path(name))
