"""An adapter in a model that is in memory: put there by peft, unmerged, so that its own tensors can be edited."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from recover.checkpoints.adapter_space import ADAPTER, AdapterLayout, quiet_peft, read_config
from recover.checkpoints.checkpoint import Checkpoint
from recover.errors import Undecided, reason_of


@dataclass(frozen=True)
class LiveAdapter:
    """The adapter of a model: the peft model around it, and the adapter's parameters by the checkpoint's names."""

    peft_model: Any
    weights: Mapping[str, Tensor]

    @contextlib.contextmanager
    def turned_off(self) -> Iterator[None]:
        """While entered, the model without its adapter. Tensors of the base that it stores stay as they are."""
        with quiet_peft(), self.peft_model.disable_adapter():
            yield
        self.peft_model.requires_grad_(False)  # peft makes an adapter that it turns on trainable


def add_adapter(model: Any, checkpoint: Checkpoint, autocast_adapter: bool = True) -> Any:
    """The base model with an adapter in it, as peft loads it: adapters in reduced precision are held in fp32.

    Without `autocast_adapter` the adapter has the base's dtype. On a processor such a model is about twice as fast, and
    its logits differ from peft's in the last bits. The model that comes back is the base's own object, with
    `live_adapter`. Nothing of it requires a gradient. Raises Undecided if peft cannot load the adapter.
    """
    from peft import get_peft_model
    from peft.utils import set_peft_model_state_dict

    layout = checkpoint.adapter
    assert layout is not None  # noqa: S101, the caller has seen it
    config = read_config(layout.folder)
    config.init_lora_weights = False  # the values come from the checkpoint
    stored = {entry.key: checkpoint.tensor(name).clone() for name, entry in checkpoint.entries.items()}
    try:
        with quiet_peft():
            peft_model: Any = get_peft_model(
                model, config, adapter_name=ADAPTER, autocast_adapter_dtype=autocast_adapter
            )
            set_peft_model_state_dict(peft_model, stored, adapter_name=ADAPTER)
    except Exception as error:  # peft raises many kinds
        raise Undecided(f"peft cannot load {layout.folder} over {layout.base.path} ({reason_of(error)})") from error
    peft_model.to(model.device).eval().requires_grad_(False)
    model.live_adapter = LiveAdapter(peft_model, adapter_weights(peft_model, layout))
    return model


def adapter_weights(peft_model: Any, layout: AdapterLayout, adapter: str = ADAPTER) -> dict[str, Tensor]:
    """The parameters of one of a peft model's adapters, by the checkpoint's names."""
    parameters = dict(peft_model.named_parameters(remove_duplicate=False))
    paths = {name: path.replace(f".{ADAPTER}", f".{adapter}") for name, path in layout.parameters.items()}
    return {name: parameters[path] for name, path in paths.items()}
