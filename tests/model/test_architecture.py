"""Nine architectures, one code path: what is written for each loads in transformers and is what was selected."""

import sys
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import FAMILIES, prompt_set, tiny_config, tiny_pair
from torch import Tensor, nn
from transformers import AutoModelForCausalLM

from recover.checkpoints.architecture import block_of, decoder_blocks, skeleton
from recover.checkpoints.checkpoint import canonical
from recover.checkpoints.pair import Pair, open_checkpoint
from recover.checkpoints.publish import publish, staged, write_copy
from recover.checkpoints.selection import Selection
from recover.errors import InputError
from recover.judges import Judgement, Verdict
from recover.model import load
from recover.model.editable import EditableModel
from recover.prompts.prompt_set import Answer, Prompt
from recover.search.loop import Recovery, recover

IDS = torch.tensor([[258, *range(60, 84), 259]])


class Tiring:
    """A judge that finds everything harmful in the aligned and in the tuned model, and nothing in any later step."""

    name = fingerprint = "tiring"

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, items: Sequence[tuple[Prompt, Answer]]) -> list[Judgement]:
        self.calls += 1
        return [Judgement(Verdict.HARMFUL if self.calls <= 2 else Verdict.SAFE, False)] * len(items)


@pytest.fixture(autouse=True)
def theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("theirs")
    module.__dict__["judge"] = Tiring()
    monkeypatch.setitem(sys.modules, "theirs", module)


def restore(folder: Path, family: str, method: str, **options: Any) -> Recovery:
    return recover(
        Pair.open(*tiny_pair(folder, family)),
        method=method,
        options=options,
        harmful=prompt_set("harm", 6, "refuse"),
        validation=prompt_set("valid", 4, "refuse"),
        general=prompt_set("plain", 3),
        judge="theirs:judge",
        target=0.5,
    )


@pytest.fixture(params=FAMILIES)
def found(request: pytest.FixtureRequest, tmp_path: Path) -> Recovery:
    return restore(tmp_path, request.param, "refusal-kl", steps=2, start=0.01, smallest=1, measured=1)


RENAMED = {"embed_out.weight": "lm_head.weight"}  # what transformers calls differently than the file


def mixed(pair: Pair, selection: Selection) -> dict[str, Tensor]:
    """where(selection, aligned, tuned) from what transformers itself reads."""
    sides = [AutoModelForCausalLM.from_pretrained(c.path).state_dict() for c in (pair.aligned, pair.tuned)]
    values = {canonical(key): (sides[0][key].flatten(), value.clone()) for key, value in sides[1].items()}
    for stored, positions in selection:
        name = stored if stored in values else RENAMED[stored]
        values[name][1].view(-1)[positions] = values[name][0][positions]
    return {name: value for name, (_, value) in values.items()}


def test_a_written_model_loads_and_is_what_was_selected(tmp_path: Path, found: Recovery) -> None:
    assert isinstance(found.edit, Selection)
    assert len(found.edit) > 0
    with staged(tmp_path / "out") as place:
        write_copy(found.checkpoint, place)
        publish(place, tmp_path / "out")
    loaded, report = AutoModelForCausalLM.from_pretrained(tmp_path / "out", output_loading_info=True)
    assert not any(report[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    expected = mixed(found.pair, found.edit)
    assert {canonical(key) for key in loaded.state_dict()} == set(expected)
    assert all(torch.equal(value, expected[canonical(key)]) for key, value in loaded.state_dict().items())
    logits = loaded(IDS).logits
    ours = load.load_model(open_checkpoint(tmp_path / "out"), torch.float32, torch.device("cpu"))
    assert torch.equal(ours(IDS).logits, logits)
    tuned = AutoModelForCausalLM.from_pretrained(found.pair.tuned.path)(IDS).logits
    assert not torch.equal(logits, tuned)


def test_candidates_are_all_that_changed_and_for_published_methods_the_matrices_of_the_blocks(found: Recovery) -> None:
    live = EditableModel(found.pair, torch.float32, torch.device("cpu"))
    path, blocks = decoder_blocks(live.model)
    inside = {canonical(f"{path}.{name}") for name, p in blocks.named_parameters() if p.dim() == 2}
    assert set(live.matrices) == inside & set(found.pair.changed)
    assert {block_of(name, path) for name in live.matrices} == {0, 1}
    assert found.account.candidates == sum(value.numel() for value in live.parameters.values())
    assert set(live.parameters) == set(found.pair.changed)
    assert sum(b.restored for b in found.account.by_block) == found.account.restored


def test_the_live_model_can_be_the_aligned_one(found: Recovery) -> None:
    live = EditableModel(found.pair, torch.float32, torch.device("cpu"))
    with live.as_aligned() as model:
        logits = model(IDS).logits
    assert torch.equal(logits, AutoModelForCausalLM.from_pretrained(found.pair.aligned.path)(IDS).logits)


@pytest.mark.parametrize("family", FAMILIES)
def test_sp2025_leaves_norms_and_later_blocks_alone(tmp_path: Path, family: str) -> None:
    found = restore(tmp_path, family, "sp2025", steps=2, layers=1, rollback="off", warm_up=1)
    assert isinstance(found.edit, Selection)
    model = skeleton(found.pair.tuned)
    path, _ = decoder_blocks(model)
    names = {canonical(name) for name, module in model.named_modules() if "Norm" in type(module).__name__}
    assert names
    assert all(block_of(name, path) == 0 for name in found.edit.positions)
    assert not any(name.rpartition(".")[0] in names for name in found.edit.positions)
    assert len(found.edit) == found.account.steps[found.account.best_step].restored > 0


def test_a_model_without_a_list_of_blocks_is_refused() -> None:
    model = nn.Linear(2, 2)
    model.config = tiny_config()
    with pytest.raises(InputError, match="no list of 2 decoder blocks"):
        decoder_blocks(model)


def test_a_tensor_that_transformers_renames_is_a_parameter_under_its_own_name(tmp_path: Path) -> None:
    pair = Pair.open(*tiny_pair(tmp_path, "gpt_neox"))
    live = EditableModel(pair, torch.float32, torch.device("cpu"))
    assert live.parameters["embed_out.weight"] is live.model.get_output_embeddings().weight
    assert "embed_out.weight" not in live.matrices


def test_tensors_that_transformers_merges_are_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FAMILIES, "mixtral", {"num_local_experts": 2})
    pair = Pair.open(*tiny_pair(tmp_path, "mixtral"))
    with pytest.raises(InputError, match=r"builds layers\.0\..*experts.* into another tensor of MixtralForCausalLM"):
        EditableModel(pair, torch.float32, torch.device("cpu"))
