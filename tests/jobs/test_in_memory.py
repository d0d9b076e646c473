"""Restoring an adapter in memory: what it gives, what it leaves as it was, and how a Trainer calls it."""

from pathlib import Path
from typing import Any

import cli_pairs
import pytest
import torch
from datasets import Dataset
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, DataCollatorForLanguageModeling, Trainer, TrainingArguments

from recover import InputError, RestoreCallback, restore_adapter
from recover.jobs.in_memory import RestoredAdapter
from recover.jobs.request import Job
from recover.jobs.restore import restore
from recover.results.schema import Result, load


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The aligned model as a directory, and an adapter over it that turns its refusals into compliance."""
    folder = tmp_path_factory.mktemp("in-memory")
    cli_pairs.aligned_model().save_pretrained(folder / "aligned")
    cli_pairs.tokenizer().save_pretrained(folder / "aligned")
    cli_pairs.save_adapter(folder / "adapter")
    return folder


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    prompts = cli_pairs.write_prompts(tmp_path_factory.mktemp("prompts"))
    return {
        "report_set": str(prompts["report"]),
        "benign": str(prompts["benign"]),
        "max_new_tokens": 8,
        "harmful": str(prompts["harmful"]),
        "general": str(prompts["general"]),
        "option": {"steps": 3, "measured": 1},
    }


@pytest.fixture
def model(folder: Path) -> Any:
    base = AutoModelForCausalLM.from_pretrained(folder / "aligned")
    return PeftModel.from_pretrained(base, folder / "adapter", is_trainable=True).train()


def values(model: Any) -> dict[str, torch.Tensor]:
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def flags(model: Any) -> list[object]:
    modules = [(name, module.training) for name, module in model.named_modules()]
    parameters = [(n, p.requires_grad, p.dtype, p.device, p.grad is None) for n, p in model.named_parameters()]
    return [*modules, *parameters, {name for name in vars(model.get_base_model()) if not name.startswith("_")}]


def moved(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: before[name] != after[name] for name in before if not torch.equal(before[name], after[name])}


def test_the_adapter_in_memory_is_restored_as_the_command_restores_its_files(
    folder: Path, model: Any, options: dict[str, Any], tmp_path: Path
) -> None:
    before, state = values(model), flags(model)
    result = restore_adapter(model, cli_pairs.tokenizer(), **options)
    assert result.summary.harmful == {"aligned": 0.0, "tuned": 1.0, "restored": 0.0}
    assert flags(model) == state
    texts = {name: str(value) for name, value in options["option"].items()}
    files = {"aligned": str(folder / "aligned"), "tuned": str(folder / "adapter"), "out": tmp_path / "out"}
    job = Job(**{**options, **files, "option": texts})
    from_files = restore(job).result
    assert from_files.restoration
    assert result.restoration
    assert result.restoration.restored == from_files.restoration.restored
    assert result.sets == from_files.sets
    model.save_pretrained(tmp_path / "saved")
    written, saved = (load_file(tmp_path / name / "adapter_model.safetensors") for name in ("out", "saved"))
    assert written.keys() == saved.keys()
    assert all(torch.equal(written[name], saved[name]) for name in written)
    changed = moved(before, values(model))
    assert changed
    assert all("lora_B" in name and not values(model)[name][mask].any() for name, mask in changed.items())
    result.revert()
    assert not moved(before, values(model))


def test_reports_are_written_where_they_are_asked_for(model: Any, options: dict[str, Any], tmp_path: Path) -> None:
    result = restore_adapter(model, cli_pairs.tokenizer(), out=tmp_path / "out", **options)
    assert load(tmp_path / "out" / "result.json") == Result.model_validate(result.model_dump(by_alias=True))
    assert (tmp_path / "out" / "viewer.html").is_file()


@pytest.mark.parametrize("phase", ["comparing the checkpoints", "checking the step", "asking the aligned model"])
def test_an_interrupted_restoration_leaves_the_model_as_it_was(model: Any, options: dict[str, Any], phase: str) -> None:
    before, state = values(model), flags(model)

    def interrupt(word: str, *_: object) -> None:
        if word == phase:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        restore_adapter(model, cli_pairs.tokenizer(), notify=interrupt, **options)
    assert flags(model) == state
    assert not moved(before, values(model))


def test_what_is_no_adapter_in_memory_is_told(folder: Path, model: Any, options: dict[str, Any]) -> None:
    tokenizer = cli_pairs.tokenizer()
    with pytest.raises(InputError, match="takes a peft model"):
        restore_adapter(model.get_base_model(), tokenizer, **options)
    with pytest.raises(InputError, match="has no option dtype"):
        restore_adapter(model, tokenizer, dtype="float16", **options)
    base = AutoModelForCausalLM.from_pretrained(folder / "aligned")
    pissa = get_peft_model(base, LoraConfig(target_modules=["q_proj"], init_lora_weights="pissa"))
    with pytest.raises(InputError, match="initialised by pissa"):
        restore_adapter(pissa, tokenizer, **options)


def rows(tokenizer: Any) -> Dataset:
    return Dataset.from_list([{"input_ids": tokenizer(f"row {i} of some text")["input_ids"]} for i in range(8)])


@pytest.fixture
def trainer(model: Any, options: dict[str, Any], tmp_path: Path) -> Trainer:
    tokenizer = cli_pairs.tokenizer()
    arguments = TrainingArguments(
        output_dir=str(tmp_path / "run"),
        max_steps=2,
        learning_rate=1e-5,
        per_device_train_batch_size=2,
        use_cpu=True,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
    )
    return Trainer(
        model=model,
        args=arguments,
        train_dataset=rows(tokenizer),
        data_collator=DataCollatorForLanguageModeling(tokenizer, mlm=False),
        processing_class=tokenizer,
        callbacks=[RestoreCallback(**options)],
    )


@pytest.mark.filterwarnings("ignore")
def test_a_trainer_restores_before_it_saves(trainer: Trainer, tmp_path: Path) -> None:
    trainer.train()
    (callback,) = (c for c in trainer.callback_handler.callbacks if isinstance(c, RestoreCallback))
    assert isinstance(callback.result, RestoredAdapter)
    assert callback.result.summary.harmful == {"aligned": 0.0, "tuned": 1.0, "restored": 0.0}
    assert trainer.model.training
    assert {name for name, p in trainer.model.named_parameters() if p.requires_grad} == {
        name for name, _ in trainer.model.named_parameters() if "lora_" in name
    }
    trainer.save_model(str(tmp_path / "saved"))
    saved = load_file(tmp_path / "saved" / "adapter_model.safetensors")
    assert saved["base_model.model.model.layers.1.mlp.down_proj.lora_B.weight"][cli_pairs.SWITCH, 0] == 0
