"""Every bad input gives one sentence and the right exit code, leaves nothing behind and changes no input."""

import builtins
import errno
import json
import os
import pickle
import re
import shutil
import signal
import subprocess
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cli_pairs
import pytest
import torch
from cli_pairs import COMPLIANCE, launch, names, quick, run, unchanged, weights, write_rows
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from transformers import GPT2Config, GPT2LMHeadModel

from recover.checkpoints.publish import publish, staged
from recover.errors import Exit


@pytest.fixture(scope="session")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pair and its prompts, to be copied."""
    return cli_pairs.write_pair(tmp_path_factory.mktemp("originals"))


@dataclass(frozen=True)
class Place:
    """A working directory with a pair in it, free to be spoilt."""

    folder: Path

    @property
    def aligned(self) -> Path:
        return self.folder / "aligned"

    @property
    def tuned(self) -> Path:
        return self.folder / "tuned"

    @property
    def prompts(self) -> dict[str, Path]:
        return {file.stem: file for file in (self.folder / "prompts").iterdir()}

    def restore(self, *more: object, aligned: object = "aligned", tuned: object = "tuned") -> list[object]:
        """The arguments of a short restoration; what comes later overrides."""
        return [aligned, tuned, "-o", "out", *quick(self.prompts), *more]

    def state(self, side: str = "tuned") -> dict[str, torch.Tensor]:
        return load_file(self.folder / side / "model.safetensors")

    def put(self, state: dict[str, torch.Tensor], side: str = "tuned") -> None:
        save_file(state, self.folder / side / "model.safetensors", {"format": "pt"})

    def configure(self, side: str, name: str = "config.json", **values: object) -> None:
        file = self.folder / side / name
        file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


@pytest.fixture
def place(originals: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    folder = tmp_path / "work"
    shutil.copytree(originals, folder)
    monkeypatch.chdir(folder)
    return Place(folder)


class Refuses:
    """Runs the command in this process and asserts that it left with one sentence and nothing else."""

    def __init__(self, place: Place, capfd: pytest.CaptureFixture[str]) -> None:
        self.place, self.capfd = place, capfd

    def __call__(self, arguments: list[object], code: int, says: str) -> str:
        with unchanged(self.place.folder):
            before = sorted(self.place.folder.rglob("*"))
            self.capfd.readouterr()
            assert run(*arguments) == code, self.capfd.readouterr().err
            assert sorted(self.place.folder.rglob("*")) == before
        out, err = self.capfd.readouterr()
        (line,) = err.splitlines()
        assert out == ""
        assert line.startswith("recover-align: ")
        assert re.search(says, line), line
        assert len(line) < 700
        return line


@pytest.fixture
def refuses(place: Place, capfd: pytest.CaptureFixture[str]) -> Refuses:
    return Refuses(place, capfd)


# The table: a builder spoils something and returns the command's arguments


@dataclass(frozen=True)
class Case:
    name: str
    build: Callable[[Place], list[object]]
    says: str
    code: int = 2


CASES: list[Case] = []
Builder = Callable[[Place], list[object]]


def case(says: str, code: int = 2, name: str = "") -> Callable[[Builder], Builder]:
    """Add a builder to the table."""

    def add(build: Builder) -> Builder:
        CASES.append(Case(name or build.__name__, build, says, code))
        return build

    return add


def option(name: str, says: str, *arguments: object, code: int = 2) -> None:
    """Add a case that only differs in its options."""
    case(says, code, name)(lambda place: place.restore(*arguments))


# Checkpoints


@case(r"nowhere does not exist; expected a checkpoint directory, a weights file or a hub id")
def missing_path(place: Place) -> list[object]:
    return place.restore(tuned="nowhere")


@case(r"nowhere/at/all does not exist")
def missing_aligned(place: Place) -> list[object]:
    return place.restore(aligned="nowhere/at/all")


@case(r"empty holds no model: expected \*\.safetensors")
def no_checkpoint(place: Place) -> list[object]:
    (place.folder / "empty").mkdir()
    return place.restore(tuned="empty")


@case(r"notes.md is damaged or no safetensors file")
def a_text_file(place: Place) -> list[object]:
    (place.folder / "notes.md").write_text("not a checkpoint, but long enough for the length of a header\n" * 10)
    return place.restore(tuned="notes.md", aligned="aligned")


@case(r"ALIGNED is a llama model, TUNED a gpt2 model; TUNED lacks 21 tensors .*; ALIGNED lacks 26 tensors")
def different_architectures(place: Place) -> list[object]:
    shutil.rmtree(place.tuned)
    _gpt2().save_pretrained(place.tuned)
    cli_pairs.tokenizer().save_pretrained(place.tuned)
    return place.restore()


def _gpt2() -> GPT2LMHeadModel:
    return GPT2LMHeadModel(GPT2Config(vocab_size=cli_pairs.VOCABULARY, n_embd=32, n_layer=2, n_head=4, n_positions=64))


@case(
    r"layers.0.mlp.down_proj.weight has shape \[32, 64\] in ALIGNED and \[32, 48\] in TUNED; "
    r"layers.0.mlp.up_proj.weight has shape \[64, 32\] in ALIGNED and \[48, 32\] in TUNED"
)
def different_shapes(place: Place) -> list[object]:
    cut = {"mlp.up_proj.weight": lambda t: t[:48], "mlp.down_proj.weight": lambda t: t[:, :48]}
    place.put(
        {
            name: next((change(t) for end, change in cut.items() if name.endswith(f"layers.0.{end}")), t).contiguous()
            for name, t in place.state().items()
        }
    )
    return place.restore()


@case(
    r"TUNED lacks 2 tensors \(layers.0.mlp.up_proj.weight, norm.weight\); ALIGNED lacks 1 tensors \(adapter.bias\); "
    r"layers.1.mlp.up_proj.weight has shape .*TUNED must be a fine-tune of ALIGNED"
)
def missing_and_extra_keys(place: Place) -> list[object]:
    state = place.state()
    del state["model.layers.0.mlp.up_proj.weight"], state["model.norm.weight"]
    state["model.layers.1.mlp.up_proj.weight"] = torch.zeros(3, 32)
    place.put({**state, "adapter.bias": torch.zeros(3)})
    return place.restore()


@case(r"aligned and same hold the same weights: nothing to restore")
def identical(place: Place) -> list[object]:
    shutil.copytree(place.aligned, place.folder / "same")
    return place.restore(tuned="same")


@case(r"aligned and aligned hold the same weights: nothing to restore")
def the_same_path_twice(place: Place) -> list[object]:
    return place.restore(tuned="aligned")


class Bomb:
    """Leaves a file behind when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return builtins.open, ("marker", "w")


@case(r"evil.pt holds more than tensors.*refused, as loading it could run code")
def a_pickle_with_code(place: Place) -> list[object]:
    torch.save({"weight": torch.zeros(2), "run": Bomb()}, place.folder / "evil.pt")
    return place.restore("--config", "aligned", tuned="evil.pt")


@case(r"evil.pth holds more than tensors.*refused, as loading it could run code")
def a_bare_pickle_with_code(place: Place) -> list[object]:
    (place.folder / "evil.pth").write_bytes(pickle.dumps({"weight": Bomb()}))
    return place.restore("--config", "aligned", tuned="evil.pth")


@case(r"pytorch_model.bin holds more than tensors.*refused")
def a_directory_with_code(place: Place) -> list[object]:
    (place.tuned / "model.safetensors").unlink()
    torch.save({"weight": torch.zeros(2), "run": Bomb()}, place.tuned / "pytorch_model.bin")
    return place.restore()


@case(r"list.pt holds no state dict: expected names mapped to tensors")
def a_pt_that_is_no_state_dict(place: Place) -> list[object]:
    torch.save([torch.zeros(2)], place.folder / "list.pt")
    return place.restore("--config", "aligned", tuned="list.pt")


@case(r"pure.safetensors has no config.json in .*; pass --config DIR, the directory with its config.json and tokenizer")
def a_bare_file_without_its_configuration(place: Place) -> list[object]:
    shutil.copy(place.tuned / "model.safetensors", place.folder / "pure.safetensors")
    return place.restore(tuned="pure.safetensors")


@case(r"old.pt is in torch's format of before 1.6; load it and save it again with torch.save")
def an_old_torch_file(place: Place) -> list[object]:
    state = weights(cli_pairs.tuned_model())
    torch.save(state, place.folder / "old.pt", _use_new_zipfile_serialization=False)
    return place.restore("--config", "aligned", tuned="old.pt")


@case(r"small.pt was compressed after torch wrote it; load it and save it again with torch.save")
def a_compressed_torch_file(place: Place) -> list[object]:
    torch.save(weights(cli_pairs.tuned_model()), place.folder / "large.pt")
    with zipfile.ZipFile("large.pt") as large, zipfile.ZipFile("small.pt", "w", zipfile.ZIP_DEFLATED) as small:
        for name in large.namelist():
            small.writestr(name, large.read(name))
    return place.restore("--config", "aligned", tuned="small.pt")


@case(r"aligned/model.safetensors.index.json points outside its directory \('\.\./tuned/model.safetensors'\)")
def an_index_that_points_up(place: Place) -> list[object]:
    return _indexed(place, "../tuned/model.safetensors")


@case(r"points outside its directory \('/.*/tuned/model.safetensors'\)")
def an_index_that_points_elsewhere(place: Place) -> list[object]:
    return _indexed(place, str(place.tuned / "model.safetensors"))


@case(r"model.safetensors.index.json names the shard model-2.safetensors, which is not there")
def an_index_with_a_missing_shard(place: Place) -> list[object]:
    return _indexed(place, "model-2.safetensors")


@case(r"model.safetensors.index.json is no shard index: expected a JSON object with a weight_map")
def an_index_that_is_none(place: Place) -> list[object]:
    (place.aligned / "model.safetensors.index.json").write_text('{"weight_map": 3}')
    return place.restore()


def _indexed(place: Place, shard: str) -> list[object]:
    names = dict.fromkeys(place.state("aligned"), shard)
    (place.aligned / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": names}))
    return place.restore()


def _spoilt(side: str, value: float) -> Builder:
    def build(place: Place) -> list[object]:
        state = place.state(side)
        state["model.layers.1.mlp.up_proj.weight"][3, 4] = value
        place.put(state, side)
        return place.restore()

    return build


for _side in ("aligned", "tuned"):
    for _value in ("nan", "inf"):
        _says = rf"{_side.upper()} holds NaN or infinite weights in layers.1.mlp.up_proj.weight"
        case(_says, name=f"{_value}_in_{_side}")(_spoilt(_side, float(_value)))


@case(r"tuned is quantised; recover-align needs the float checkpoint it was made from")
def a_quantised_configuration(place: Place) -> list[object]:
    place.configure("tuned", quantization_config={"quant_method": "bitsandbytes", "load_in_4bit": True})
    return place.restore()


@case(r"layers.0.mlp.up_proj.weight is int8 in TUNED, expected a float \(not quantised\) tensor")
def quantised_tensors(place: Place) -> list[object]:
    state = place.state()
    state["model.layers.0.mlp.up_proj.weight"] = state["model.layers.0.mlp.up_proj.weight"].to(torch.int8)
    place.put(state)
    return place.restore()


@case(r"the adapter adapter does not fit aligned: .*size mismatch.*name the model it was trained on")
def an_adapter_of_another_width(place: Place) -> list[object]:
    cli_pairs.save_adapter(place.folder / "adapter")
    state = load_file(place.folder / "adapter" / "adapter_model.safetensors")
    wider = {k: torch.nn.functional.pad(v, (0, 0, 0, 4)) if "lora_B" in k else v for k, v in state.items()}
    save_file(wider, place.folder / "adapter" / "adapter_model.safetensors")
    return place.restore(tuned="adapter")


@case(r"the adapter adapter does not fit aligned: .*c_attn.*name the model it was trained on")
def an_adapter_of_another_architecture(place: Place) -> list[object]:
    cli_pairs.save_adapter(place.folder / "adapter", base=_gpt2(), target_modules=["c_attn"], fan_in_fan_out=True)
    return place.restore(tuned="adapter")


@case(r"adapter is of the type IA3, in whose tensors the aligned model has no values; use --space weights")
def an_adapter_without_a_space_of_its_own(place: Place) -> list[object]:
    cli_pairs.save_adapter(place.folder / "adapter", kind="ia3")
    return place.restore("--space", "adapter", tuned="adapter")


@case(r"--space adapter is for an adapter; tuned is a full checkpoint: leave it out")
def the_adapters_space_for_a_full_checkpoint(place: Place) -> list[object]:
    return place.restore("--space", "adapter")


@case(r"sp2025 changes weights of the whole model; restore the merged adapter with --space weights")
def a_method_that_needs_the_merged_weights(place: Place) -> list[object]:
    cli_pairs.save_adapter(place.folder / "adapter")
    return ["aligned", "adapter", "-o", "out", *cli_pairs.asking(place.prompts), "--method", "sp2025"]


@case(r"adapter/adapter_model.safetensors is damaged or no safetensors file")
def a_damaged_adapter(place: Place) -> list[object]:
    file = cli_pairs.save_adapter(place.folder / "adapter") / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:500])
    return place.restore(tuned="adapter")


@case(r"adapter is a PEFT adapter; name the full checkpoint it was trained on before it")
def an_adapter_as_aligned(place: Place) -> list[object]:
    cli_pairs.save_adapter(place.folder / "adapter")
    return place.restore(aligned="adapter")


@case(r"config.json is not valid JSON \(Expecting")
def an_invalid_configuration(place: Place) -> list[object]:
    (place.tuned / "config.json").write_text('{"model_type": "llama",')
    return place.restore()


@case(r"tuned has no config.json in tuned")
def no_configuration(place: Place) -> list[object]:
    (place.tuned / "config.json").unlink()
    return place.restore()


@case(r"config.json names no model_type; expected the configuration of a transformers model")
def a_configuration_of_nothing(place: Place) -> list[object]:
    (place.tuned / "config.json").write_text("[]")
    return place.restore()


@case(r"transformers cannot load tuned \(ValueError: .*future_model", code=3)
def an_unknown_model_type(place: Place) -> list[object]:
    for side in ("aligned", "tuned"):
        place.configure(side, model_type="future_model")
    return place.restore()


@case(r"tuned does not fill its own architecture: .*layers.2", code=3)
def a_configuration_that_promises_more(place: Place) -> list[object]:
    for side in ("aligned", "tuned"):
        place.configure(side, num_hidden_layers=3)
    return place.restore()


@case(r"transformers cannot load tuned \(ValueError: .*future_model", code=3)
def remote_code(place: Place) -> list[object]:
    _with_code(place, model_type="future_model")
    return place.restore()


def _with_code(place: Place, **values: object) -> None:
    """Give both sides code of their own, which leaves a file behind when it runs."""
    for side in ("aligned", "tuned"):
        for name in ("configuration_x", "modeling_x", "tokenization_x"):
            code = f"open({str(place.folder / 'marker')!r}, 'w').close()\nclass X: ...\n"
            (place.folder / side / f"{name}.py").write_text(code)
        classes = {"AutoConfig": "configuration_x.X", "AutoModelForCausalLM": "modeling_x.X"}
        place.configure(side, auto_map=classes, **values)
        place.configure(side, "tokenizer_config.json", auto_map={"AutoTokenizer": ["tokenization_x.X", None]})


# Tokenizers and chat templates


@case(r"tuned has no tokenizer that transformers can load")
def no_tokenizer(place: Place) -> list[object]:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (place.tuned / name).unlink()
    return place.restore()


@case(r"aligned and tuned have different tokenizers; .*cannot be compared; give both checkpoints the same", code=3)
def different_tokenizers(place: Place) -> list[object]:
    file = place.tuned / "tokenizer.json"
    told = json.loads(file.read_text())
    vocabulary = told["model"]["vocab"]
    vocabulary["<0x41>"], vocabulary["<0x42>"] = vocabulary["<0x42>"], vocabulary["<0x41>"]
    file.write_text(json.dumps(told))
    return place.restore()


@case(r"ship no chat template; pass `--chat-template FILE`, or `--chat-template none`")
def no_chat_template(place: Place) -> list[object]:
    for side in (place.aligned, place.tuned):
        (side / "chat_template.jinja").unlink()
    return place.restore()


@case(r"2 different chat templates, and all models need the same one; choose it with `--chat-template FILE`", code=3)
def two_chat_templates(place: Place) -> list[object]:
    (place.tuned / "chat_template.jinja").write_text("{{ messages[0].content }}")
    return place.restore()


@case(r"The chat template cannot render the prompt worse0 \(.+\); correct it")
def a_chat_template_with_a_mistake(place: Place) -> list[object]:
    (place.folder / "chat.jinja").write_text("{% for m in messages %}{{ m.content }")
    return place.restore("--chat-template", "chat.jinja")


@case(r"--chat-template chat.jinja: the file is empty")
def an_empty_chat_template(place: Place) -> list[object]:
    (place.folder / "chat.jinja").touch()
    return place.restore("--chat-template", "chat.jinja")


option("a_missing_chat_template", r"--chat-template no.jinja: no such file", "--chat-template", "no.jinja")


# Prompts and tasks


def prompt_file(name: str, says: str, contents: bytes, suffix: str = "jsonl") -> None:
    """Add a case with a prompt file of these contents."""

    def build(place: Place) -> list[object]:
        (place.folder / f"set.{suffix}").write_bytes(contents)
        return place.restore("--report-set", f"set.{suffix}")

    case(says, name=name)(build)


prompt_file("an_empty_prompt_file", r"set.jsonl is empty: expected at least one row", b"")
prompt_file(
    "no_prompt_column",
    r"set.csv has no prompt column: found id, answer, expected one of prompt, goal",
    b"id,answer\n1,x\n",
    "csv",
)
prompt_file(
    "duplicate_ids",
    r"set.jsonl: 1 ids occur more than once \(a\)",
    b'{"id": "a", "prompt": "x"}\n{"id": "a", "prompt": "y"}\n',
)
prompt_file(
    "latin_1", r"set.txt is not UTF-8 \(byte 7 is 0xe9\); convert it", b"a caf\xe9\n".replace(b"a ", b"one "), "txt"
)
prompt_file("no_json", r"set.jsonl, line 2: invalid JSON .*; correct it", b'{"prompt": "x"}\n{"prompt": \n')
prompt_file("an_unknown_format", r"set.docx has the suffix '.docx', which names no known format", b"x", "docx")
option("a_missing_prompt_file", r"no.jsonl: no such file and no built-in set", "--report-set", "no.jsonl")
option("a_missing_capture_file", r"no.jsonl: no such file and no built-in set", "--harmful", "no.jsonl")
option("a_prompt_directory", r"prompts is not a file; name one file of prompts", "--general", "prompts")
option("a_missing_benign_file", r"no.csv: no such file", "--benign", "no.csv")


@case(r"two report sets have the same name \(report, report, benign\); rename one")
def two_sets_of_one_name(place: Place) -> list[object]:
    (place.folder / "more").mkdir()
    shutil.copy(place.prompts["harmful"], place.folder / "more" / "report.jsonl")
    return place.restore("--report-set", "more/report.jsonl")


@case(r"every prompt of harmful is also in a report set.*; report on other prompts")
def capture_and_report_are_one(place: Place) -> list[object]:
    return place.restore("--report-set", place.prompts["harmful"])


@case(r"task.jsonl: 16 of 16 rows have no reference \(")
def a_task_without_references(place: Place) -> list[object]:
    rows = [{"prompt": f"what is {i}?"} for i in range(16)]
    return place.restore("--task", write_rows(place.folder / "task.jsonl", rows))


@case(r"task.jsonl has 7 different prompts; a task needs at least 8")
def a_task_of_few_rows(place: Place) -> list[object]:
    rows = [{"prompt": f"what is {i}?", "reference": COMPLIANCE} for i in range(7)]
    return place.restore("--task", write_rows(place.folder / "task.jsonl", rows))


option("a_missing_task", r"no.jsonl: no such file", "--task", "no.jsonl")
option("a_report_part_alone", r"--task-report needs --task", "--task-report", "prompts/held.jsonl")


# Places


@case(r"out exists; pass --overwrite to replace it, or choose another --out")
def out_exists(place: Place) -> list[object]:
    (place.folder / "out").mkdir()
    (place.folder / "out" / "precious.txt").write_text("keep")
    return place.restore()


@case(r"out.recovery exists; pass --overwrite")
def reports_of_out_exist(place: Place) -> list[object]:
    (place.folder / "out.recovery").mkdir()
    return place.restore()


option("out_inside_tuned", r"the output tuned/new lies in or over the input .*/tuned", "-o", "tuned/new", "--overwrite")
option("out_is_aligned", r"the output aligned lies in or over the input .*/aligned;", "-o", "aligned", "--overwrite")
option("out_is_above", r"the output \. lies in or over the input", "-o", ".", "--overwrite")
option("no_parent", r"/no/such is no directory; create it, or choose another --out", "-o", "no/such/out")


@case(r"the output link lies in or over the input .*/tuned")
def out_is_a_link_to_tuned(place: Place) -> list[object]:
    (place.folder / "link").symlink_to(place.tuned)
    return place.restore("-o", "link", "--overwrite")


@case(r"the output adapter lies in or over the input .*/adapter")
def out_is_the_adapter(place: Place) -> list[object]:
    cli_pairs.save_adapter(place.folder / "adapter")
    return place.restore("-o", "adapter", "--overwrite", tuned="adapter")


@case(r"the output adapter lies in or over the input .*/adapter")
def a_report_over_an_adapter(place: Place) -> list[object]:
    cli_pairs.save_adapter(place.folder / "adapter")
    return ["evaluate", "aligned", "adapter", "-o", "adapter", "--overwrite", *cli_pairs.asking(place.prompts)]


# Options


option("an_unknown_method", r"there is no method magic; expected one of refusal-kl, ", "--method", "magic")
option("an_unknown_module", r"the method no.such:thing cannot be imported", "--method", "no.such:thing")
option("an_unknown_option", r"the method has no option x; it has .*steps", "--option", "x=1")
option("an_option_without_value", r"--option takes NAME=VALUE", "--option", "steps")
option("an_option_of_another_type", r"the option steps=many is not a int", "--option", "steps=many")
option("an_unknown_judge", r"There is no judge 'oracle'; there are rules", "--judge", "oracle")
option("an_unknown_judge_module", r"There is no judge 'no.such:thing'", "--judge", "no.such:thing")
option("no_judge", r"'cli_pairs:TESTS' is no judge: it must be callable", "--judge", "cli_pairs:TESTS")
option("a_judge_without_weights", r"'no/such/place' is no path here and no hub id", "--judge", "guard:no/such/place")
option("a_judge_without_program", r"'exec:nothing' names no program that can be run", "--judge", "exec:nothing")
option("a_judge_twice", r"found the judges rules, rules; .* only once", "--judge", "rules", "--judge", "rules")
option("a_password_in_a_url", r"holds more than host and path; put a key into", "--judge", "openai:http://a:b@c/v1")
option("no_calibration", r"no\.json: cannot be read", "--calibration", "no.json")
option("samples_of_greedy_answers", r"--samples 2 at --temperature 0 are 2 times", "--samples", 2, "--temperature", 0)
option("a_nucleus_of_greedy_answers", r"--top-p is for drawn answers, and these are greedy", "--top-p", "0.9")
option("no_samples", r"'--samples': 0 is not in the range x>=1", "--samples", "0")
option("a_temperature_of_nan", r"--temperature: input should be .* found nan", "--temperature", "nan")
option("an_empty_nucleus", r"'--top-p': 0.0 is not in the range 0<x<=1", "--top-p", "0", "--samples", "2")
option("samples_in_continuous_batches", r"continuous batches give greedy answers only; draw samples with --batching static", "--samples", 2, "--batching", "continuous")  # fmt: skip # noqa: E501
option("an_unknown_device", r"device abacus is not there \(.*\); use auto or cpu", "--device", "abacus")
option("an_unknown_dtype", r"dtype float8 is not known; expected auto, float32", "--dtype", "float8")
option("a_target_in_words", r"takes 'aligned' or a fraction from 0 to 1, found 'low'", "--target-harmful-rate", "low")
option("a_target_over_1", r"takes 'aligned' or a fraction from 0 to 1, found '1.5'", "--target-harmful-rate", "1.5")
option("a_target_of_nan", r"takes 'aligned' or a fraction from 0 to 1, found 'nan'", "--target-harmful-rate", "nan")
option("a_task_drop_over_1", r"'--max-task-drop': 2.0 is not in the range 0<=x<=1", "--max-task-drop", "2")
option("a_task_drop_of_nan", r"--max-task-drop: input should be .* found nan", "--max-task-drop", "nan")
option("no_budget", r"'--budget': 0.0 is not in the range 0<x<=1", "--budget", "0")
option("an_unknown_kind_of_output", r"'--format': 'zip' is not one of 'checkpoint', 'patch', 'both'", "--format", "zip")
option("an_option_that_is_none", r"No such option '--fast'.*; see recover-align restore --help", "--fast")
option("too_many_models", r"unexpected extra argument \(third\)", "third")


@case(r"found 4 models; evaluate compares 1 to 3")
def four_models(place: Place) -> list[object]:
    return ["evaluate", *["aligned"] * 4]


@case(r"Missing argument 'TUNED'; see recover-align restore --help")
def one_model(place: Place) -> list[object]:
    return ["aligned"]


@case(r"interpolate changes every weight, which a patch cannot hold; use --format checkpoint")
def a_patch_of_everything(place: Place) -> list[object]:
    return [*_any_method(place, "interpolate"), "--option", "t=0.9", "--format", "patch"]


@case(r"resta needs the base model that ALIGNED was before its alignment; pass --unaligned PATH")
def no_unaligned_model(place: Place) -> list[object]:
    return _any_method(place, "resta")


@case(r"random does not use an unaligned model; leave --unaligned out, or choose one of resta, safe-lora")
def an_unaligned_model_that_nothing_needs(place: Place) -> list[object]:
    return [*_any_method(place, "random"), "--unaligned", "aligned"]


@case(r"nowhere does not exist; expected a checkpoint directory, a weights file or a hub id")
def an_unaligned_model_that_is_not_there(place: Place) -> list[object]:
    return [*_any_method(place, "resta"), "--unaligned", "nowhere"]


@case(r"the output old lies in or over the input .*old; choose another place")
def an_output_over_the_unaligned_model(place: Place) -> list[object]:
    shutil.copytree(place.folder / "aligned", place.folder / "old")
    return [*_any_method(place, "resta"), "--unaligned", "old", "-o", "old", "--overwrite"]


def _any_method(place: Place, method: str) -> list[object]:
    """A short restoration with a method that has no option `steps`."""
    arguments = place.restore("--method", method)
    cut = arguments.index("--option")
    return [*arguments[:cut], *arguments[cut + 4 :]]


# Files and places that clumsy hands make


@case(r"the prompt long-1 has \d+ tokens, and the models have 512 positions; expected room for an answer")
def a_prompt_that_fills_the_model(place: Place) -> list[object]:
    file = write_rows(place.folder / "long.jsonl", [{"prompt": "word " * 200}])
    return ["evaluate", "tuned", "--report-set", file, "--benign", "none"]


@case(r"the prompt long-1 has \d+ tokens, and the models have 512 positions; expected room for an answer")
def a_prompt_that_fills_the_model_is_told_before_the_search(place: Place) -> list[object]:
    file = write_rows(place.folder / "long.jsonl", [{"prompt": "word " * 200}])
    return [*_any_method(place, "cli_pairs:broken"), "--report-set", file]


@case(r"row 1: the prompt holds half of a character, which no tokenizer reads; correct the row")
def half_a_character(place: Place) -> list[object]:
    (place.folder / "half.jsonl").write_text('{"prompt": "a\\ud800b"}\n')
    return ["evaluate", "tuned", "--report-set", "half.jsonl", "--benign", "none"]


@case(r"deep.jsonl, line 1 holds JSON that cannot be read \(maximum recursion depth")
def a_deep_row(place: Place) -> list[object]:
    (place.folder / "deep.jsonl").write_text("[" * 100_000 + "\n")
    return ["evaluate", "tuned", "--report-set", "deep.jsonl", "--benign", "none"]


@case(r"long.jsonl, line 1 holds JSON that cannot be read \(Exceeds the limit")
def a_number_of_10000_digits(place: Place) -> list[object]:
    (place.folder / "long.jsonl").write_text('{"prompt": ' + "1" * 10_000 + "}\n")
    return ["evaluate", "tuned", "--report-set", "long.jsonl", "--benign", "none"]


@case(r"out exists; pass --overwrite to replace it")
def an_output_that_is_a_link_to_nothing(place: Place) -> list[object]:
    (place.folder / "out").symlink_to("nowhere")
    return ["evaluate", "tuned", "--benign", "none", "--limit", "1", "-o", "out"]


@case(r"invalid CSV \(field larger than field limit .*remove those over 131,072 characters")
def a_huge_cell(place: Place) -> list[object]:
    (place.folder / "labels.csv").write_text(f"prompt,completion,label\nx,{'a ' * 100_000},1\n")
    return ["judge", "calibrate", "--labels", "labels.csv"]


@case(r"found the same labels twice among one.csv, two.csv; give each file once")
def labels_that_would_count_twice(place: Place) -> list[object]:
    for name in ("one.csv", "two.csv"):
        (place.folder / name).write_text("prompt,completion,label\nx,No.,refused\ny,Yes of course.,answered\n")
    return ["judge", "calibrate", "--labels", "one.csv", "--labels", "two.csv"]


# Other commands


@case(r"no.json: no such file|cannot read no.json: No such file or directory; give the path of a result.json")
def no_result(place: Place) -> list[object]:
    return ["report", "no.json"]


@case(r"config.json has schema None, expected 'recover-align/result/1'")
def no_result_but_json(place: Place) -> list[object]:
    return ["report", "tuned/config.json"]


@case(r"tuned holds no patch; expected a selection.safetensors or an output that has one")
def no_patch(place: Place) -> list[object]:
    return ["apply", "tuned", "tuned", "-o", "out"]


@case(r"model.safetensors is no recover-align patch: its schema is None")
def weights_as_a_patch(place: Place) -> list[object]:
    return ["revert", "tuned/model.safetensors", "tuned", "-o", "out"]


@case(r"no.txt: no such file")
def no_prompts_to_show(place: Place) -> list[object]:
    return ["prompts", "show", "no.txt"]


@case(r"'-n' / '--number': 0 is not in the range x>=1")
def none_to_show(place: Place) -> list[object]:
    return ["prompts", "show", "general", "-n", "0"]


# What is neither an input nor a usage error


@case(r"unexpected LookupError: a bug of two lines; set RECOVER_ALIGN_DEBUG=1 for the traceback and report it", code=3)
def a_bug(place: Place) -> list[object]:
    return _any_method(place, "cli_pairs:broken")


@case(r"out of memory; use a smaller model, fewer prompts \(--limit\) or another --device", code=3)
def too_little_memory(place: Place) -> list[object]:
    return _any_method(place, "cli_pairs:hungry")


@case(r"no answer to the harmful report prompts could be judged", code=3)
def a_judge_that_cannot_tell(place: Place) -> list[object]:
    return place.restore("--judge", "cli_pairs:Blind")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_one_sentence(case: Case, place: Place, refuses: Refuses) -> None:
    refuses(case.build(place), case.code, case.says)


def test_the_table_has_each_name_once() -> None:
    names = [case.name for case in CASES]
    assert sorted(set(names)) == sorted(names)


def test_the_pickle_with_code_would_have_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pickle.loads(pickle.dumps(Bomb())).close()  # noqa: S301, what the tests above must prevent
    assert (tmp_path / "marker").exists()


@pytest.mark.parametrize("keep", [0.0, 0.0001, 0.01, 0.5, 0.999])
@pytest.mark.parametrize("kind", ["safetensors", "pt", "old"])
def test_a_truncated_file(place: Place, refuses: Refuses, kind: str, keep: float) -> None:
    file = place.folder / ("cut.safetensors" if kind == "safetensors" else "cut.pt")
    state = weights(cli_pairs.tuned_model())
    if kind == "safetensors":
        save_file(state, file)
    else:
        torch.save(state, file, _use_new_zipfile_serialization=kind == "pt")
    data = file.read_bytes()
    file.write_bytes(data[: int(keep * len(data))])
    refuses(place.restore("--config", "aligned", tuned=file), 2, rf"{file.name} (is damaged or no|holds more than)")


def test_a_truncated_shard(place: Place, refuses: Refuses) -> None:
    shutil.rmtree(place.tuned)
    cli_pairs.save(cli_pairs.tuned_model(), place.tuned, max_shard_size="50KB")
    *_, last = sorted(place.tuned.glob("model-*.safetensors"))
    last.write_bytes(last.read_bytes()[:-5])
    refuses(place.restore(), 2, rf"{last.name} is damaged or no safetensors file \(.*\); fetch it again")


def test_code_beside_a_known_architecture_never_runs(place: Place) -> None:
    _with_code(place)
    assert run(*place.restore()) == Exit.OK
    assert not (place.folder / "marker").exists()


# Before any work is done


@pytest.mark.parametrize(
    "more",
    [
        ("--judge", "oracle"),
        ("--judge", "rules", "--judge", "guard:no/such/place"),
        ("--judge", "exec:no-such-program"),
        ("--calibration", "no.json"),
        ("--method", "magic"),
        ("--option", "x=1"),
        ("--device", "abacus"),
        ("--dtype", "float8"),
        ("--harmful", "no.jsonl"),
        ("--general", "no.jsonl"),
        ("--chat-template", "chat.jinja"),
        ("-o", "aligned"),
        ("-o", "no/such/out"),
    ],
    ids=" ".join,
)
def test_a_mistake_is_found_before_a_weight_is_read(
    place: Place, refuses: Refuses, monkeypatch: pytest.MonkeyPatch, more: tuple[str, str]
) -> None:
    (place.folder / "chat.jinja").write_text("{{ nonsense(")

    def read(self: object, name: str) -> object:
        raise AssertionError(f"{name} was read")

    monkeypatch.setattr("recover.checkpoints.checkpoint.Checkpoint.tensor", read)
    refuses(place.restore(*more), 2, ".")
    refuses(place.restore(), 3, "unexpected AssertionError: .* was read")


# The model hub


@pytest.mark.parametrize(
    "settings", [{"HF_HUB_OFFLINE": "1"}, {"HF_HUB_OFFLINE": "0", "HF_ENDPOINT": "http://127.0.0.1:9"}]
)
def test_a_hub_id_without_a_network_fails_quickly(place: Place, settings: dict[str, str]) -> None:
    started = time.monotonic()
    with unchanged(place.folder):
        done = cli_pairs.command(*place.restore(aligned="org/name"), cwd=place.folder, env=settings)
    assert time.monotonic() - started < 30
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("recover-align: org/name is no path here, and the model hub did not give it: ")


# The disk and the memory


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mounts a small file system of its own, where that is permitted."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(options: str) -> Path:
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(folder)], capture_output=True)
        if done.returncode:
            pytest.skip("mounting is not permitted here")
        return folder

    yield mount
    subprocess.run(["umount", "--lazy", str(folder)], capture_output=True)


needs_root = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="mounting needs root")


@needs_root
@pytest.mark.parametrize("spare", [-20, 0, 2, 4, 9])
def test_a_full_disk(place: Place, refuses: Refuses, disk: Callable[[str], Path], spare: int) -> None:
    """A disk with `spare` pages more than the weights need: patch, answers and reports come after them."""
    pages = sum(-(-file.stat().st_size // 4096) for file in place.tuned.iterdir())
    full = disk(f"size={4 * (pages + spare)}k")
    refuses(place.restore("-o", full / "out"), 3, rf"the disk is full: {full}/out was not written; free space")
    assert list(full.iterdir()) == []


@needs_root
def test_a_read_only_disk(place: Place, refuses: Refuses, disk: Callable[[str], Path]) -> None:
    refuses(place.restore("-o", disk("size=16k,ro") / "out"), 2, r"disk cannot be written to; choose another --out")


FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("target", "error"),
    [
        ("recover.checkpoints.files.copy", FULL),
        (
            "recover.checkpoints.patch.save_file",
            SafetensorError(f"Error while serializing: I/O error: {FULL.strerror}"),
        ),
        ("os.fsync", FULL),
        ("recover.report.render.write_text", FULL),
    ],
)
def test_no_space_left(
    place: Place, refuses: Refuses, monkeypatch: pytest.MonkeyPatch, target: str, error: Exception
) -> None:
    def full(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(target, full)
    refuses(place.restore(), 3, r"the disk is full: out was not written; free space and run again")


def test_no_space_left_for_the_report(place: Place, monkeypatch: pytest.MonkeyPatch, capfd: Any) -> None:
    def full(*_: object) -> None:
        raise FULL

    monkeypatch.setattr("recover.report.render.write_text", full)
    arguments = ["evaluate", "tuned", "-o", "out", *cli_pairs.asking(place.prompts)]
    assert run(*arguments) == Exit.UNDECIDED
    (said,) = [line for line in capfd.readouterr().err.splitlines() if line.startswith("recover-align")]
    assert "the disk is full: out is not complete; free space and run again" in said
    monkeypatch.undo()
    monkeypatch.chdir(place.folder)
    assert run(*arguments) == Exit.OK


@pytest.mark.parametrize(
    "error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")], ids=type
)
def test_too_little_memory_for_the_model(
    place: Place, refuses: Refuses, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def load(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("recover.model.load.load_model", load)
    refuses(place.restore(), 3, r"out of memory; use a smaller model")


# Anything else


@pytest.mark.parametrize(
    "error", [ZeroDivisionError(), EOFError("end"), BrokenPipeError(errno.EPIPE, "gone"), KeyError("k")]
)
def test_no_exception_looks_like_a_verdict(
    place: Place, refuses: Refuses, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def restore(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("recover.jobs.restore.restore", restore)
    refuses(place.restore(), 3, rf"unexpected {type(error).__name__}: .*RECOVER_ALIGN_DEBUG=1")


def test_the_traceback_is_there_for_who_asks(
    place: Place, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RECOVER_ALIGN_DEBUG", "1")
    assert run(*_any_method(place, "cli_pairs:broken")) == Exit.UNDECIDED
    err = capfd.readouterr().err
    assert "Traceback (most recent call last)" in err
    assert err.splitlines()[-1].startswith("recover-align: unexpected LookupError: ")


# Ctrl-C

SENTENCE = "recover-align: interrupted; nothing was left half-written"
PHASES = [
    "comparing the checkpoints",
    "measuring the aligned model",
    "measuring the tuned model",
    "checking the step",
    "restoring",
    "writing",
    "asking the aligned model",
    "asking the tuned model",
    "asking the restored model",
    "judging with rules",
]


def test_an_interrupt_at_any_phase(place: Place) -> None:
    before = names(place.folder)
    with unchanged(*(place.folder / name for name in before)):
        *found, whole = cli_pairs.interrupted(place.restore(), [*PHASES, "never"], place.folder)
    for phase, one in zip(PHASES, found, strict=True):
        assert (one["code"], one["err"].strip(), one["left"]) == (130, SENTENCE, before), phase
        assert one["phases"][-1] == phase
    assert (whole["code"], whole["left"], whole["phases"]) == (0, sorted([*before, "out"]), PHASES)


@pytest.mark.parametrize("last", range(1, 8))
def test_an_interrupt_while_the_output_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: int
) -> None:
    """Two flushes, four renames and a flush: the old file and its reports go, the new ones come. Stopped, all is as it
    was."""
    out, calls = tmp_path / "out.pt", []
    out.write_text("old")
    (tmp_path / "out.pt.recovery").mkdir()
    (tmp_path / "out.pt.recovery" / "result.json").write_text("old")

    def interrupting(function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any) -> Any:
            found = function(*arguments)
            calls.append(function)
            if len(calls) == last:
                raise KeyboardInterrupt
            return found

        return wrapped

    def write() -> None:
        with staged(out) as place:
            place.write_text("new")
            Path(f"{place}.recovery").mkdir()
            monkeypatch.setattr("pathlib.Path.rename", interrupting(Path.rename))
            monkeypatch.setattr("os.fsync", interrupting(os.fsync))
            publish(place, out)

    with unchanged(tmp_path), pytest.raises(KeyboardInterrupt):
        write()


def test_an_interrupt_from_outside(place: Place) -> None:
    """The installed command, a signal as the terminal sends it."""
    sign = place.folder.parent / "waiting"
    waiting = launch(*place.restore("--judge", "cli_pairs:Waiting"), cwd=place.folder, env={"WAITING": str(sign)})
    with unchanged(place.folder), waiting as process:
        while not sign.exists() and process.poll() is None:
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err.strip()) == (130, "", SENTENCE)
