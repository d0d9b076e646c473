"""Pairing two checkpoints: what fits, what does not, and adapters against peft's own merge."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import IA3Config, LoraConfig, PromptTuningConfig, get_peft_model
from safetensors.torch import save_file
from tiny import byte_tokenizer, save_model, tiny_model, tiny_pair, tune
from torch import Tensor
from transformers import AutoModelForCausalLM

from recover.checkpoints.checkpoint import Checkpoint, canonical, is_adapter
from recover.checkpoints.pair import Pair
from recover.errors import InputError
from recover.model.editable import EditableModel
from recover.model.load import load_model

CPU = torch.device("cpu")
LINEAR = ["q_proj", "v_proj", "down_proj"]


def state_of(model: Any) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in model.state_dict().items()}


def changed(model: Any, change: Callable[[dict[str, Tensor]], object], folder: Path) -> Path:
    """A bare torch file with a changed state dict, and the configuration beside it."""
    model.config.save_pretrained(folder)
    state = state_of(model)
    change(state)
    torch.save(state, folder / "changed.pt")
    return folder / "changed.pt"


# Two full checkpoints --------------------------------------------------------------------------------------------


def test_a_pair_knows_its_tensors_and_which_differ(llama: list[Path]) -> None:
    pair = Pair.open(*llama)
    assert pair.names == pair.tuned.names()
    same = {n for n in pair.names if torch.equal(pair.aligned.tensor(n), pair.tuned.tensor(n))}
    assert 0 < len(same) < len(pair.names)
    assert pair.changed == {n: pair.tuned.tensor(n).numel() for n in pair.names if n not in same}


@pytest.mark.parametrize("dtypes", [(torch.float32, torch.bfloat16), (torch.bfloat16, torch.float32)], ids=str)
def test_aligned_values_are_rounded_to_the_tuned_dtype(tmp_path: Path, dtypes: tuple[torch.dtype, ...]) -> None:
    models = [tiny_model().to(dtypes[0]), tune(tiny_model()).to(dtypes[1])]
    pair = Pair.open(*(save_model(tmp_path / str(i), m) for i, m in enumerate(models)))
    for name in pair.names:
        aligned, tuned = pair.values(name)
        assert aligned.dtype == tuned.dtype == dtypes[1]
        assert torch.equal(aligned, pair.aligned.tensor(name).to(dtypes[1]))
        assert torch.equal(tuned, pair.tuned.tensor(name))
    live = EditableModel(pair, torch.float32, CPU)
    assert live.matrices


def test_rounding_alone_is_no_change(tmp_path: Path) -> None:
    exact, rounded = save_model(tmp_path / "a", tiny_model()), save_model(tmp_path / "b", tiny_model().bfloat16())
    with pytest.raises(InputError, match="the same weights: nothing to restore"):
        Pair.open(exact, rounded).changed  # noqa: B018
    assert Pair.open(rounded, exact).changed


def test_rows_of_added_tokens_stay_the_tuned_models(tmp_path: Path) -> None:
    aligned = tiny_model()
    tuned = tune(copy.deepcopy(aligned))
    with torch.random.fork_rng(devices=[]):
        tuned.resize_token_embeddings(270, mean_resizing=False)
    tuned.get_input_embeddings().weight.data[:264] += 0.5
    pair = Pair.open(save_model(tmp_path / "a", aligned), save_model(tmp_path / "t", tuned))
    for name in ("embed_tokens.weight", "lm_head.weight"):
        ours, theirs = pair.values(name)
        assert ours.shape == theirs.shape == (270, 32)
        assert torch.equal(ours[:264], pair.aligned.tensor(name))
        assert torch.equal(ours[264:], theirs[264:])
    with EditableModel(pair, torch.float32, CPU).as_aligned() as model:
        assert model.get_input_embeddings().weight.shape == (270, 32)
        logits = model(torch.arange(9)[None]).logits[..., :264]
    assert torch.allclose(logits, aligned(torch.arange(9)[None]).logits, atol=1e-5)


@pytest.mark.parametrize("twice", [(True, False), (False, True), (True, True), (False, False)], ids=str)
def test_a_tied_head_may_be_stored_or_not(tmp_path: Path, twice: tuple[bool, bool]) -> None:
    models = [tiny_model(tie_word_embeddings=True), tune(tiny_model(tie_word_embeddings=True))]
    places = []
    for place, (model, stored) in enumerate(zip(models, twice, strict=True)):
        (tmp_path / str(place)).mkdir()
        drop = [] if stored else ["lm_head.weight"]
        places.append(changed(model, lambda state, drop=drop: [state.pop(key) for key in drop], tmp_path / str(place)))
    pair = Pair.open(*places)
    assert ("lm_head.weight" in pair.names) == all(twice)
    live = EditableModel(pair, torch.float32, CPU)
    assert live.model.lm_head.weight is live.model.model.embed_tokens.weight
    with live.as_aligned() as model:
        assert torch.equal(model(torch.arange(9)[None]).logits, models[0](torch.arange(9)[None]).logits)


def spoil(state: dict[str, Tensor]) -> None:
    """Five mismatches: a missing tensor, one too many, two shapes and a quantised dtype."""
    del state["model.layers.0.mlp.up_proj.weight"]
    state["model.extra.weight"] = torch.ones(3)
    state["model.layers.0.self_attn.q_proj.weight"] = torch.ones(32, 16)
    state["model.norm.weight"] = torch.ones(31)
    state["model.layers.1.mlp.up_proj.weight"] = state["model.layers.1.mlp.up_proj.weight"].to(torch.int8)


def test_all_mismatches_are_one_error_before_any_weight_is_read(
    tmp_path: Path, llama: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = changed(tiny_model(), spoil, tmp_path)
    monkeypatch.setattr(Checkpoint, "tensor", lambda _, name: pytest.fail(f"{name} was read"))
    with pytest.raises(InputError) as caught:
        Pair.open(llama[0], place)
    for part in (
        "TUNED lacks 1 tensors (layers.0.mlp.up_proj.weight)",
        "ALIGNED lacks 1 tensors (extra.weight)",
        "layers.0.self_attn.q_proj.weight has shape [32, 32] in ALIGNED and [32, 16] in TUNED",
        "norm.weight has shape [32] in ALIGNED and [31] in TUNED",
        "layers.1.mlp.up_proj.weight is int8 in TUNED",
    ):
        assert part in str(caught.value)


def test_two_architectures_do_not_pair(tmp_path: Path, llama: list[Path]) -> None:
    other = save_model(tmp_path, tiny_model("gpt2"))
    with pytest.raises(InputError, match=r"ALIGNED is a llama model, TUNED a gpt2 model; TUNED lacks \d+ tensors"):
        Pair.open(llama[0], other)


def test_a_smaller_vocabulary_does_not_pair(tmp_path: Path) -> None:
    places = [save_model(tmp_path / str(n), tiny_model(vocab_size=n)) for n in (264, 262)]
    with pytest.raises(InputError, match=r"embed_tokens.weight has shape \[264, 32\] in ALIGNED and \[262, 32\]"):
        Pair.open(*places)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("side", [0, 1])
def test_a_broken_weight_is_named(tmp_path: Path, value: float, side: int) -> None:
    models = [tiny_model(), tune(tiny_model())]
    models[side].model.layers[1].mlp.up_proj.weight.data[3, 4] = value
    pair = Pair.open(*(save_model(tmp_path / str(i), m) for i, m in enumerate(models)))
    with pytest.raises(InputError, match=rf"{['ALIGNED', 'TUNED'][side]} holds NaN .* in layers.1.mlp.up_proj.weight"):
        pair.changed  # noqa: B018


def test_recomputed_buffers_of_old_checkpoints_are_left_alone(tmp_path: Path, llama: list[Path]) -> None:
    frequencies = {"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(4)}
    place = changed(tune(tiny_model()), lambda state: state.update(frequencies), tmp_path)
    pair = Pair.open(llama[0], place)
    assert (
        EditableModel(pair, torch.float32, CPU).matrices
        == EditableModel(Pair.open(*llama), torch.float32, CPU).matrices
    )


# Adapters --------------------------------------------------------------------------------------------------------


def trained(base: Any, seed: int = 5, **options: Any) -> Any:
    """A LoRA model with all its own weights set, as training would leave them; the base's are not touched."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = get_peft_model(copy.deepcopy(base), LoraConfig(r=3, lora_alpha=7, task_type="CAUSAL_LM", **options))
    noise = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += 0.1 * torch.randn(parameter.shape, generator=noise)
    return model


ADAPTERS: dict[str, tuple[str, dict[str, Any]]] = {
    "plain": ("llama", {"target_modules": LINEAR}),
    "all-linear": ("llama", {"target_modules": "all-linear"}),
    "patterns": (
        "llama",
        {
            "target_modules": LINEAR,
            "rank_pattern": {"q_proj": 5, r"layers\.1\.mlp\.down_proj": 2},
            "alpha_pattern": {"v_proj": 11},
        },
    ),
    "some layers": ("llama", {"target_modules": LINEAR, "layers_to_transform": [1]}),
    "rslora": ("llama", {"target_modules": LINEAR, "use_rslora": True}),
    "dora": ("llama", {"target_modules": LINEAR, "use_dora": True}),
    "embedding": ("llama", {"target_modules": ["q_proj", "embed_tokens"]}),
    "modules to save": ("llama", {"target_modules": LINEAR, "modules_to_save": ["lm_head", "norm"]}),
    "gpt2": ("gpt2", {"target_modules": ["c_attn", "c_proj"], "fan_in_fan_out": True}),
    "gpt2 dora": ("gpt2", {"target_modules": ["c_attn"], "fan_in_fan_out": True, "use_dora": True}),
    "biases": ("qwen2", {"target_modules": LINEAR, "bias": "all"}),
    "biases of the layers": ("qwen2", {"target_modules": LINEAR, "bias": "lora_only"}),
    "lora biases": ("qwen2", {"target_modules": ["q_proj", "v_proj"], "lora_bias": True}),
    "trained tokens": ("llama", {"target_modules": LINEAR, "trainable_token_indices": [1, 2]}),
    "parameters": ("llama", {"target_modules": [], "target_parameters": ["up_proj.weight", "gate_proj.weight"]}),
}


@pytest.mark.filterwarnings("ignore:Setting `save_embedding_layers`:UserWarning")  # peft decides so, and tells
@pytest.mark.filterwarnings("ignore:.*LoRA tensor.* have invalid shape")  # peft takes a bias for a matrix
@pytest.mark.parametrize(("family", "options"), ADAPTERS.values(), ids=ADAPTERS)
def test_an_adapter_gives_what_pefts_own_merge_gives(tmp_path: Path, family: str, options: dict[str, Any]) -> None:
    base = tiny_model(family)
    save_model(tmp_path / "base", base)
    model = trained(base, **options)
    model.save_pretrained(tmp_path / "adapter")
    pair = Pair.open(tmp_path / "base", tmp_path / "adapter", space="weights")
    expected = {canonical(k): v for k, v in model.merge_and_unload().state_dict().items()}
    assert len(pair.changed) >= 2
    for name in [*pair.names, *pair.names]:  # twice: merging must not change what it reads
        assert torch.allclose(pair.tuned.tensor(name), expected[name], rtol=1e-5, atol=1e-6), name
        assert torch.equal(pair.tuned.tensor(name), pair.aligned.tensor(name)) == (name not in pair.changed)


@pytest.mark.parametrize("init", ["pissa", "olora"])
def test_an_adapter_that_changed_its_base_is_refused_in_both_spaces(tmp_path: Path, init: Any) -> None:
    base = tiny_model()
    save_model(tmp_path / "base", base)
    config = LoraConfig(r=3, target_modules=LINEAR, init_lora_weights=init)
    get_peft_model(base, config).save_pretrained(tmp_path / "adapter")
    for space in ("auto", "weights", "adapter"):
        with pytest.raises(InputError, match=init):
            Pair.open(tmp_path / "base", tmp_path / "adapter", space=space)  # type: ignore[arg-type]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("options", [{"target_modules": ["embed_tokens"]}, {"target_modules": ["lm_head"]}], ids=str)
def test_a_tied_adapter_is_merged_as_peft_saves_it(tmp_path: Path, options: dict[str, Any]) -> None:
    base = tiny_model("qwen2", tie_word_embeddings=True)
    save_model(tmp_path / "base", base)
    model = trained(base, **options)
    model.save_pretrained(tmp_path / "adapter")
    model.merge_and_unload().save_pretrained(tmp_path / "merged")
    expected = AutoModelForCausalLM.from_pretrained(tmp_path / "merged").eval()
    pair = Pair.open(tmp_path / "base", tmp_path / "adapter", space="weights")
    ids = torch.tensor([[5, 6, 7, 8]])
    with torch.inference_mode():
        found, wanted = (m(input_ids=ids).logits for m in (load_model(pair.tuned, torch.float32, CPU), expected))
    assert torch.allclose(found, wanted, atol=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_an_embedding_that_parts_from_its_tied_head_cannot_be_merged(tmp_path: Path) -> None:
    base = tiny_model("qwen2", tie_word_embeddings=True)
    save_model(tmp_path / "base", base)
    trained(base, target_modules=["q_proj"], modules_to_save=["embed_tokens"]).save_pretrained(tmp_path / "adapter")
    with pytest.raises(InputError, match=r"gives the tied embedding and head of .* two values"):
        Pair.open(tmp_path / "base", tmp_path / "adapter", space="weights")
    assert Pair.open(tmp_path / "base", tmp_path / "adapter").space == "adapter"


@pytest.mark.parametrize("stored", [torch.float32, torch.bfloat16], ids=str)
def test_a_delta_is_added_in_fp32_and_rounded_once(tmp_path: Path, stored: torch.dtype) -> None:
    base = tiny_model()
    save_model(tmp_path / "base", copy.deepcopy(base).bfloat16())
    model = trained(base, target_modules=LINEAR)
    for name, parameter in model.named_parameters():
        parameter.data = parameter.data.to(stored if "lora_" in name else torch.bfloat16)
    model.save_pretrained(tmp_path / "adapter")
    pair = Pair.open(tmp_path / "base", tmp_path / "adapter", space="weights")
    layer = model.base_model.model.model.layers[1].self_attn.q_proj
    a, b = (layer.lora_A["default"].weight.float(), layer.lora_B["default"].weight.float())
    exact = layer.base_layer.weight.float() + (b @ a) * (7 / 3)
    assert torch.equal(pair.tuned.tensor("layers.1.self_attn.q_proj.weight"), exact.bfloat16())


def test_an_adapter_directory_is_one_and_a_full_model_is_none(tmp_path: Path, llama: list[Path]) -> None:
    trained(tiny_model(), target_modules=LINEAR).save_pretrained(tmp_path)
    assert is_adapter(tmp_path)
    assert not is_adapter(llama[0])
    with pytest.raises(InputError, match="is a PEFT adapter; name the full checkpoint"):
        Pair.open(tmp_path, llama[1])


def test_an_adapters_tokenizer_goes_before_the_bases(tmp_path: Path, llama: list[Path]) -> None:
    trained(tiny_model(), target_modules=LINEAR).save_pretrained(tmp_path)
    assert Pair.open(llama[0], tmp_path).tuned.home == llama[0]
    byte_tokenizer().save_pretrained(tmp_path)
    assert Pair.open(llama[0], tmp_path).tuned.home == tmp_path


def test_an_adapter_of_another_model_is_refused(tmp_path: Path, llama: list[Path]) -> None:
    trained(tiny_model(hidden_size=16), target_modules=LINEAR).save_pretrained(tmp_path / "narrow")
    other = tiny_model("gpt2")
    trained(other, target_modules=["c_attn"], fan_in_fan_out=True).save_pretrained(tmp_path / "gpt2")
    for name in ("narrow", "gpt2"):
        with pytest.raises(InputError, match=r"does not fit .*; name the model it was trained on"):
            Pair.open(llama[0], tmp_path / name)


def test_an_adapter_that_lacks_weights_is_refused(tmp_path: Path, llama: list[Path]) -> None:
    model = trained(tiny_model(), target_modules=LINEAR)
    model.save_pretrained(tmp_path)
    state = {k: v for k, v in model.state_dict().items() if "lora_" in k}
    kept = {k.replace(".default", ""): v.contiguous() for k, v in sorted(state.items())[1:]}
    save_file(kept, tmp_path / "adapter_model.safetensors", {"format": "pt"})
    with pytest.raises(InputError, match="it lacks"):
        Pair.open(llama[0], tmp_path)


def test_an_adapter_of_another_type_is_merged_by_peft(tmp_path: Path, llama: list[Path]) -> None:
    base = AutoModelForCausalLM.from_pretrained(llama[0])
    model = get_peft_model(base, IA3Config(target_modules=["k_proj", "down_proj"], feedforward_modules=[]))
    for parameter in model.parameters():
        parameter.data *= 1.25 if parameter.requires_grad else 1
    model.save_pretrained(tmp_path)
    pair = Pair.open(llama[0], tmp_path)
    assert pair.space == "weights"
    assert {name.split(".")[-2] for name in pair.changed} == {"k_proj", "down_proj"}
    expected = {canonical(k): v for k, v in model.merge_and_unload().state_dict().items()}
    assert all(torch.allclose(pair.tuned.tensor(name), expected[name]) for name in pair.names)


@pytest.mark.parametrize("space", ["auto", "adapter", "weights"])
def test_a_prompt_adapter_changes_no_weight(tmp_path: Path, llama: list[Path], space: Any) -> None:
    config = PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=2)
    get_peft_model(tiny_model(), config).save_pretrained(tmp_path)
    with pytest.raises(InputError, match="PROMPT_TUNING"):
        Pair.open(llama[0], tmp_path, space=space)


def test_an_adapter_merges_over_a_bare_file(tmp_path: Path) -> None:
    base = tiny_model()
    place = changed(base, len, tmp_path)
    trained(base, target_modules=LINEAR).save_pretrained(tmp_path / "adapter")
    pair = Pair.open(place, tmp_path / "adapter", config=tmp_path, space="weights")
    assert len(pair.changed) == 2 * len(LINEAR)
    assert pair.tuned.root == place


def test_a_pair_in_another_family_is_read_the_same_way(tmp_path: Path) -> None:
    pair = Pair.open(*tiny_pair(tmp_path, "gpt2"))
    assert "h.0.attn.c_attn.weight" in pair.changed
