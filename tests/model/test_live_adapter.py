"""An adapter in a live model: its base is mapped and never written, and gains are those of autograd."""

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from tiny import prompt_set, save_model, tiny_model
from torch import Tensor
from transformers import AutoModelForCausalLM

from recover.checkpoints.checkpoint import Checkpoint
from recover.checkpoints.pair import Pair
from recover.judges import Judgement, Verdict
from recover.model.editable import EditableModel
from recover.model.load import load_model
from recover.search.loop import Recovery, recover
from recover.search.objective import KL, divergence, passage, teach
from recover.search.ranking import sample

CPU = torch.device("cpu")
IDS = torch.randint(3, 200, (2, 9), generator=torch.Generator().manual_seed(0))
PROMPTS = [passage(list(range(10, 20 + n)), [5, 6, 7]) for n in range(3)]


class Harmless:
    """A judge that finds nothing harmful: any step is kept."""

    name = fingerprint = "harmless"

    def __call__(self, items: list[Any]) -> list[Judgement]:
        return [Judgement(Verdict.SAFE, False)] * len(items)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base, what it was before its alignment, and an adapter over it with random values."""
    folder = tmp_path_factory.mktemp("adapter")
    save_model(folder / "aligned", tiny_model())
    before, noise = tiny_model(), torch.Generator().manual_seed(7)
    for parameter in before.parameters():
        parameter.data += 0.05 * torch.randn(parameter.shape, generator=noise)
    save_model(folder / "unaligned", before)
    torch.manual_seed(0)
    config = LoraConfig(r=4, target_modules=["q_proj", "down_proj"], init_lora_weights=False)
    get_peft_model(AutoModelForCausalLM.from_pretrained(folder / "aligned"), config).save_pretrained(folder / "adapter")
    return folder


@pytest.fixture
def pair(folder: Path) -> Pair:
    return Pair.open(folder / "aligned", folder / "adapter", unaligned=folder / "unaligned")


@pytest.fixture
def live(pair: Pair) -> EditableModel:
    return EditableModel(pair, torch.float32, CPU)


def logits(model: Any) -> Tensor:
    with torch.inference_mode():
        found: Tensor = model(input_ids=IDS).logits
        return found


def test_the_base_stays_in_its_mapped_file(live: EditableModel) -> None:
    base = live.pair.aligned
    mapped = {base.tensor(name).data_ptr() for name in base.names()}
    adapter = {id(p) for p in live.model.live_adapter.weights.values()}
    own = [p for p in live.model.parameters() if id(p) not in adapter]
    assert own
    assert all(parameter.data_ptr() in mapped for parameter in own)


def test_whatever_is_done_the_base_keeps_its_values(live: EditableModel) -> None:
    with live.as_aligned() as model:
        teachers = teach(model, PROMPTS, 200)
        assert torch.equal(logits(model), logits(load_model(live.pair.aligned, torch.float32, CPU)))
    live.flip(sample(live.pair.changed, 40, seed=1))
    [*live.gains(KL({"harmful": teachers}).losses({"harmful": 1.0}))]
    fresh = Checkpoint.open(live.pair.aligned.path)
    assert all(torch.equal(fresh.tensor(n), live.pair.aligned.tensor(n)) for n in fresh.names())
    assert not any(p.requires_grad for p in live.model.parameters())


def test_all_entries_flipped_are_the_aligned_model(live: EditableModel) -> None:
    live.flip(sample(live.pair.changed, sum(live.pair.changed.values()), seed=1))
    assert torch.equal(logits(live.model), logits(load_model(live.pair.aligned, torch.float32, CPU)))


def test_gains_are_those_of_plain_autograd_through_peft(live: EditableModel, folder: Path) -> None:
    with live.as_aligned() as model:
        teachers = teach(model, PROMPTS, 200)
    gains = dict(live.gains(KL({"harmful": teachers}).losses({"harmful": 1.0}), live.parameters))
    base = AutoModelForCausalLM.from_pretrained(folder / "aligned")
    reference = PeftModel.from_pretrained(base, folder / "adapter", is_trainable=True).eval()
    (divergence(reference.get_base_model(), teachers) / sum(len(p.weights) for p in PROMPTS)).backward()
    parameters = {n.replace(".default", ""): p for n, p in reference.named_parameters() if "lora_B" in n}
    entries = live.pair.tuned.entries
    assert gains.keys() == live.pair.changed.keys()
    for name, gain in gains.items():
        parameter = parameters[entries[name].key]
        assert parameter.grad is not None
        assert torch.allclose(gain, parameter.grad * parameter.detach(), rtol=1e-4, atol=1e-7)


def run(pair: Pair, method: str, **options: Any) -> Recovery:
    unaligned = pair if method == "safe-lora" else Pair(pair.aligned, pair.tuned)
    sets = {"harmful": prompt_set("harm", 4, "refuse"), "validation": prompt_set("valid", 3, "refuse")}
    return recover(unaligned, method=method, options=options, general=prompt_set("gen", 3), judge=Harmless(), **sets)


def test_safe_lora_projects_the_factor_as_its_authors_do(pair: Pair, folder: Path) -> None:
    restored = run(pair, "safe-lora", tau=1.0).checkpoint
    before = Checkpoint.open(folder / "unaligned")
    assert pair.tuned.adapter
    for name, (down, weight) in pair.tuned.adapter.products.items():
        safety = pair.aligned.tensor(weight) - before.tensor(weight)
        projection = safety @ safety.mT / safety.norm()
        assert torch.allclose(restored.tensor(name), projection @ pair.tuned.tensor(name), atol=1e-5)
        assert torch.equal(restored.tensor(down), pair.tuned.tensor(down))


def test_interpolation_scales_the_update(pair: Pair) -> None:
    restored = run(pair, "interpolate", t=0.25).checkpoint
    for name in pair.names:
        scale = 0.75 if name in pair.changed else 1.0
        assert torch.allclose(restored.tensor(name), scale * pair.tuned.tensor(name))


def test_random_entries_are_the_null(pair: Pair) -> None:
    recovery = run(pair, "random", fraction=0.1)
    assert recovery.account.space == "adapter"
    assert recovery.account.restored == int(0.1 * pair.tuned.weights)
