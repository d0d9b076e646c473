"""Adapters in their own space: every kind against the real peft, logit by logit, and what has no space of its own."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import AdaLoraConfig, LoraConfig, PeftModel, VeraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from tiny import save_model, tiny_model
from transformers import AutoModelForCausalLM

from recover.checkpoints.adapter_space import NoOwnSpace, open_adapter
from recover.checkpoints.checkpoint import Checkpoint
from recover.checkpoints.pair import Pair
from recover.errors import InputError
from recover.model.load import load_model

CPU = torch.device("cpu")
IDS = torch.randint(3, 200, (2, 9), generator=torch.Generator().manual_seed(0))
LINEAR = ["q_proj", "v_proj", "up_proj"]
KINDS: dict[str, dict[str, Any]] = {
    "lora": {"target_modules": LINEAR},
    "rslora": {"target_modules": LINEAR, "use_rslora": True, "r": 4},
    "patterns": {"target_modules": LINEAR, "rank_pattern": {"q_proj": 2}, "alpha_pattern": {"up_proj": 3}},
    "dora": {"target_modules": LINEAR, "use_dora": True},
    "dora and rslora": {"target_modules": LINEAR, "use_dora": True, "use_rslora": True},
    "lora_bias": {"target_modules": LINEAR, "lora_bias": True},
    "modules_to_save": {"target_modules": LINEAR, "modules_to_save": ["o_proj"]},
    "embedding": {"target_modules": ["q_proj", "embed_tokens"]},
    "head": {"target_modules": ["q_proj", "lm_head"]},
    "saved embedding": {"target_modules": ["q_proj"], "modules_to_save": ["embed_tokens"]},
    "trained tokens": {"target_modules": ["q_proj"], "trainable_token_indices": [5, 9]},
    "parameters": {"target_modules": [], "target_parameters": ["mlp.up_proj.weight"]},
    "one layer": {"target_modules": LINEAR, "layers_to_transform": [1]},
}


def make_adapter(folder: Path, base: Path, config: Any, **saving: Any) -> Path:
    """Save a fresh adapter in which every trainable parameter has random noise instead of training."""
    torch.manual_seed(0)
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), config)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += 0.1 * torch.randn_like(parameter)
    if saving.get("save_embedding_layers"):
        for name, parameter in model.named_parameters():
            if "embed_tokens" in name or "lm_head" in name:
                parameter.data += 0.05 * torch.randn_like(parameter)
    model.save_pretrained(folder, **saving)
    return folder


def logits(model: Any) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = model(input_ids=IDS).logits
        return found


def reference(base: Path, adapter: Path) -> Any:
    return PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), adapter).eval()


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("bases")
    made = {"untied": tiny_model(), "tied": tiny_model("qwen2", tie_word_embeddings=True), "gpt2": tiny_model("gpt2")}
    return {name: save_model(folder / name, model) for name, model in made.items()}


def answers_as_peft(base: Path, adapter: Path) -> None:
    """Assert that the opened adapter gives peft's logits, and with its aligned values the base's."""
    aligned = Checkpoint.open(base)
    tuned = open_adapter(aligned, adapter)
    assert tuned.adapter
    off = tuned.with_overrides(tuned.adapter.aligned_values)
    expected, plain = logits(reference(base, adapter)), logits(load_model(aligned, torch.float32, CPU))
    assert torch.equal(logits(load_model(tuned, torch.float32, CPU)), expected)
    assert not torch.equal(expected, plain)
    assert torch.allclose(logits(load_model(off, torch.float32, CPU)), plain, atol=1e-5)


@pytest.mark.parametrize("base", ["untied", "tied"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore")
def test_an_adapter_answers_as_peft_has_it_answer(bases: dict[str, Path], tmp_path: Path, kind: str, base: str) -> None:
    answers_as_peft(bases[base], make_adapter(tmp_path / "adapter", bases[base], LoraConfig(**KINDS[kind])))


@pytest.mark.filterwarnings("ignore")
def test_embeddings_that_are_stored_beside_the_factors_are_read(bases: dict[str, Path], tmp_path: Path) -> None:
    config = LoraConfig(target_modules=["q_proj"])
    answers_as_peft(
        bases["untied"], make_adapter(tmp_path / "adapter", bases["untied"], config, save_embedding_layers=True)
    )


@pytest.mark.filterwarnings("ignore")
def test_conv1d_layers_and_torch_files_are_read(bases: dict[str, Path], tmp_path: Path) -> None:
    config = LoraConfig(target_modules=["c_attn", "c_fc"], fan_in_fan_out=True, use_dora=True)
    adapter = make_adapter(tmp_path / "adapter", bases["gpt2"], config, safe_serialization=False)
    assert (adapter / "adapter_model.bin").is_file()
    answers_as_peft(bases["gpt2"], adapter)


@pytest.mark.filterwarnings("ignore")
def test_a_reduced_precision_adapter_keeps_its_dtype(bases: dict[str, Path], tmp_path: Path) -> None:
    adapter = make_adapter(tmp_path / "adapter", bases["untied"], LoraConfig(target_modules=LINEAR))
    tensors = {key: value.bfloat16() for key, value in load_file(adapter / "adapter_model.safetensors").items()}
    save_file(tensors, adapter / "adapter_model.safetensors")
    answers_as_peft(bases["untied"], adapter)
    assert {open_adapter(Checkpoint.open(bases["untied"]), adapter).dtype} == {torch.bfloat16}


@pytest.mark.filterwarnings("ignore")
def test_the_coordinates_are_what_the_aligned_model_can_do_without(bases: dict[str, Path], tmp_path: Path) -> None:
    config = LoraConfig(target_modules=LINEAR, modules_to_save=["o_proj"])
    pair = Pair.open(bases["untied"], make_adapter(tmp_path / "adapter", bases["untied"], config))
    assert pair.space == "adapter"
    assert {*pair.changed} == {name for name in pair.tuned.entries if "lora_B" in name or "o_proj" in name}
    assert all(not pair.values(name)[0].any() for name in pair.changed if "lora_B" in name)


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (LoraConfig(target_modules=LINEAR, init_lora_weights="pissa"), "initialised by pissa, which changes the base"),
        (LoraConfig(target_modules=LINEAR, init_lora_weights="olora"), "initialised by olora, which changes the base"),
        (AdaLoraConfig(target_modules=LINEAR, total_step=10), "of the type ADALORA"),
        (VeraConfig(target_modules=["q_proj"]), "of the type VERA"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_what_has_no_space_of_its_own_is_one_sentence(
    bases: dict[str, Path], tmp_path: Path, config: Any, reason: str
) -> None:
    adapter = make_adapter(tmp_path / "adapter", bases["untied"], config)
    with pytest.raises(NoOwnSpace, match=reason):
        open_adapter(Checkpoint.open(bases["untied"]), adapter)


def _without_a_tensor(tensors: dict[str, torch.Tensor]) -> None:
    tensors.pop(min(tensors))


def _with_a_strange_tensor(tensors: dict[str, torch.Tensor]) -> None:
    tensors["base_model.model.model.layers.9.self_attn.q_proj.lora_A.weight"] = torch.ones(8, 32)


def _with_empty_tensors(tensors: dict[str, torch.Tensor]) -> None:
    tensors.update({key: torch.empty(0) for key in tensors})


def _with_another_shape(tensors: dict[str, torch.Tensor]) -> None:
    tensors.update({key: torch.ones(3, 3) for key in tensors if "q_proj.lora_B" in key})


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (_without_a_tensor, "it lacks"),
        (_with_a_strange_tensor, "peft does not read"),
        (_with_empty_tensors, "holds empty tensors .* under ZeRO-3"),
        (_with_another_shape, "does not fit .*size mismatch"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_no_tensor_of_the_file_is_dropped_or_lacking(
    bases: dict[str, Path], tmp_path: Path, damage: Any, reason: str
) -> None:
    adapter = make_adapter(tmp_path / "adapter", bases["untied"], LoraConfig(target_modules=LINEAR))
    file = adapter / "adapter_model.safetensors"
    tensors = load_file(file)
    damage(tensors)
    save_file(tensors, file)
    with pytest.raises(InputError, match=reason):
        open_adapter(Checkpoint.open(bases["untied"]), adapter)


def test_layers_that_are_repeated_have_no_space_of_their_own(bases: dict[str, Path], tmp_path: Path) -> None:
    adapter = make_adapter(tmp_path / "adapter", bases["untied"], LoraConfig(target_modules=LINEAR))
    file = adapter / "adapter_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "layer_replication": [[0, 2], [1, 2]]}))
    with pytest.raises(NoOwnSpace, match="repeats layers"):
        open_adapter(Checkpoint.open(bases["untied"]), adapter)
