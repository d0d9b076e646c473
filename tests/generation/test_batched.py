"""Batched greedy answers equal those of one prompt at a time; tokens become text in the same way everywhere."""

import copy
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import FAMILIES, SHAPE, byte_tokenizer, save_model, tiny_model
from tokenizers import AddedToken
from transformers import AutoConfig, AutoModelForCausalLM

from recover.checkpoints.checkpoint import Checkpoint
from recover.checkpoints.pair import Pair
from recover.checkpoints.selection import Selection
from recover.errors import Undecided, out_of_memory
from recover.generation import batched
from recover.generation.batched import Batches, answer_head, as_answer, continuations, cut, split_thinking
from recover.model.editable import EditableModel
from recover.model.load import load_model

PROMPTS = [[258, *range(60, 60 + n), 259] for n in (2, 9, 4, 4, 1, 12, 7)]
BEGINNING = [258, *range(90, 115), 259]  # longer than the sliding windows of the tiny models
ALIKE = [[*BEGINNING, *prompt] for prompt in PROMPTS]
EOS = 257
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="the address space of a process can be limited on Linux")


@pytest.fixture(scope="module", params=["llama", "mistral", "gpt2", "gpt_neox"])
def model(request: pytest.FixtureRequest) -> Any:
    return tiny_model(request.param)


def greedy(model: Any, prompt: list[int], most: int, ends: list[int]) -> list[int]:
    """One token at a time, without cache, padding or transformers' generation."""
    answer: list[int] = []
    with torch.no_grad():
        while len(answer) < most and not (answer and answer[-1] in ends):
            answer.append(int(model(torch.tensor([prompt + answer]), use_cache=False).logits[0, -1].argmax()))
    return answer


def test_batched_answers_equal_single_ones(model: Any) -> None:
    expected = [greedy(model, prompt, 12, [EOS]) for prompt in PROMPTS]
    assert continuations(model, PROMPTS, 12, [EOS]) == expected
    assert len({tuple(answer) for answer in expected}) > 3


def test_the_head_reads_contiguous_states(tmp_path: Path) -> None:
    """A slice would make torch copy the head's whole weight once a prompt."""
    save_model(tmp_path, tiny_model())
    model, fed = load_model(Checkpoint.open(tmp_path), torch.bfloat16, torch.device("cpu")), []
    model.get_output_embeddings().register_forward_pre_hook(lambda _, given: fed.append(given[0].is_contiguous()))
    continuations(model, PROMPTS, 4, [EOS])
    assert len(fed) > 1
    assert all(fed)


def test_any_end_token_ends_an_answer(model: Any) -> None:
    free = continuations(model, PROMPTS, 8, [])
    ends = [free[0][2], free[1][4]]
    answers = continuations(model, PROMPTS, 8, ends)
    assert answers == [greedy(model, prompt, 8, ends) for prompt in PROMPTS]
    assert all(not set(answer[:-1]) & set(ends) for answer in answers)
    assert any(answer[-1] in ends for answer in answers)
    assert all(len(answer) == 8 for answer in free)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("prompts", [PROMPTS, ALIKE], ids=["apart", "alike"])
def test_rows_that_leave_and_a_beginning_read_once_change_no_answer(family: str, prompts: list[list[int]]) -> None:
    model = tiny_model(family)
    free = [greedy(model, prompt, 20, []) for prompt in prompts]
    checks = {e: {len(cut(a, [e])) // batched.STRIDE for a in free} for answer in free for e in answer}
    end = max(checks, key=lambda token: len(checks[token]))
    assert len(checks[end]) > 1  # rows leave at different checks
    assert continuations(model, prompts, 20, [end]) == [cut(answer, [end]) for answer in free]


@pytest.mark.parametrize("family", ["mamba", "lfm2"])
def test_a_model_that_keeps_more_than_keys_and_values_answers_in_one_go(family: str) -> None:
    model = stateful_model(family)
    assert batched._make_cache(model) is None
    expected = [greedy(model, prompt, 20, [EOS]) for prompt in ALIKE]
    assert [continuations(model, [prompt], 20, [EOS])[0] for prompt in ALIKE] == expected


def stateful_model(family: str) -> Any:
    own = {"mamba": {"state_size": 4}, "lfm2": {"layer_types": ["conv", "full_attention"]}}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return AutoModelForCausalLM.from_config(AutoConfig.for_model(family, **{**SHAPE, **own[family]})).eval()


def test_a_shared_beginning_is_read_once_where_no_window_would_count_the_padding() -> None:
    def shared(model: Any, prompts: list[list[int]]) -> int:
        return batched._read_shared(model, prompts, batched._make_cache(model))

    assert shared(tiny_model(), ALIKE) == len(BEGINNING) + 2
    assert shared(tiny_model("mistral"), ALIKE) == 0
    assert shared(tiny_model(), PROMPTS) == 0
    assert shared(tiny_model(), [BEGINNING, BEGINNING]) == len(BEGINNING) - 1  # something must be left to read
    assert continuations(tiny_model(), [BEGINNING] * 2, 8, []) == [greedy(tiny_model(), BEGINNING, 8, [])] * 2


def test_batches_are_sorted_by_length_and_reported(model: Any) -> None:
    answers, sizes = continuations(model, PROMPTS, 6, [EOS]), []
    assert continuations(model, PROMPTS, 6, [EOS], sizes.append, Batches(3)) == answers
    assert sizes == [3, 3, 1]
    assert continuations(model, PROMPTS[::-1], 6, [EOS]) == answers[::-1]
    assert continuations(model, [], 6, [EOS]) == []


STARVED = """
import resource, sys, torch
from tiny import tiny_model
from recover.errors import Undecided
from recover.generation.batched import Batches, continuations

torch.set_num_threads(1)
count, rows, spare = map(int, sys.argv[1:])
model = tiny_model(vocab_size=60_000)
prompts = [[258, *range(60, 70 + i % 7), 259] for i in range(count)]
expected = continuations(model, prompts, 3, [257], batches=Batches(16))
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + spare * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
batches, done = Batches(rows), []
try:
    assert continuations(model, prompts, 3, [257], done.append, batches) == expected
except Undecided as error:
    sys.exit(str(error))
left = batches.rows
assert continuations(model, prompts, 3, [257], batches=batches) == expected
assert batches.rows == left, "the next call starts where the last one ended"
print(batches.first_failed, left, done[0], sum(done))
"""


def starved(prompts: int, rows: int, spare: int) -> subprocess.CompletedProcess[str]:
    """Answer in a process that may take `spare` MiB more than it has; a row's logits are 0.23 MiB a copy."""
    command = [sys.executable, "-c", STARVED, str(prompts), str(rows), str(spare)]
    own = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"}  # what is freed goes back, and does not hide the limit
    return subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[1], env=own, check=False)


@LINUX
def test_a_batch_that_does_not_fit_into_memory_is_halved_until_it_does() -> None:
    ran = starved(prompts=1024, rows=1024, spare=200)
    assert ran.returncode == 0, ran.stderr
    first, left, largest, total = map(int, ran.stdout.split())
    assert (first, total) == (1024, 1024)
    assert largest == left < 1024


@LINUX
def test_a_prompt_that_does_not_fit_alone_is_one_clear_sentence() -> None:
    ran = starved(prompts=2, rows=2, spare=0)
    assert ran.stderr.startswith("memory ran out over a single prompt; expected"), ran.stderr


def test_a_smaller_batch_is_noted_and_other_errors_are_not_taken_for_memory() -> None:
    batches = Batches()
    assert batches.note is None
    batches.shrink(64)
    batches.shrink(32)
    assert (batches.first_failed, batches.rows) == (64, 16)
    assert "64 prompts at once" in str(batches.note)
    assert "at most 16" in str(batches.note)
    with pytest.raises(Undecided, match="single prompt"):
        batches.shrink(1)
    with pytest.raises(IndexError):  # a token that the model does not have
        continuations(tiny_model(), [[9999]], 2, [EOS])
    assert out_of_memory(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"))
    assert not out_of_memory(RuntimeError("shape mismatch"))


@pytest.mark.parametrize("family", sorted({*FAMILIES} - {"gpt2", "gpt_neox"}))
@pytest.mark.parametrize("prompts", [PROMPTS, ALIKE], ids=["apart", "alike"])
def test_continuous_batches_give_the_same_answers(family: str, prompts: list[list[int]]) -> None:
    model = tiny_model(family)
    ends, sizes = [continuations(model, prompts, 4, [])[0][3]], []
    expected = continuations(model, prompts, 12, ends)
    assert continuations(model, prompts, 12, ends, sizes.append, Batches(continuous=True)) == expected
    assert sum(sizes) == len(prompts)
    assert continuations(model, prompts, 12, ends) == expected  # nothing of it stays on the model


def test_no_key_or_value_outlives_an_edit_of_the_weights(llama: list[Path]) -> None:
    pair = Pair.open(*llama)
    live = EditableModel(pair, torch.float32, torch.device("cpu"))
    batches = Batches(continuous=True)
    before = continuations(live.model, ALIKE, 12, [EOS], batches=batches)
    live.flip(Selection({name: torch.arange(live.parameters[name].numel()) for name in live.parameters}))
    fresh = load_model(Checkpoint.open(llama[0]), torch.float32, torch.device("cpu"))
    after = continuations(live.model, ALIKE, 12, [EOS], batches=batches)
    assert after == continuations(fresh, ALIKE, 12, [EOS]) != before


def test_a_failure_of_continuous_batches_is_one_sentence(capfd: pytest.CaptureFixture[str]) -> None:
    for model, prompt in ((tiny_model(), [9999]), (tiny_model("gpt2"), [60])):  # GPT-2 has no number of key heads
        with pytest.raises(Undecided, match="use --batching static"):
            continuations(model, [prompt, [3]], 2, [EOS], batches=Batches(continuous=True))
    assert capfd.readouterr() == ("", "")


def test_a_models_own_generation_settings_neither_leak_in_nor_change() -> None:
    model = tiny_model()
    plain = continuations(model, PROMPTS, 8, [EOS])
    for name, value in {"do_sample": True, "temperature": 9.0, "top_k": 5, "repetition_penalty": 4.0}.items():
        setattr(model.generation_config, name, value)
    model.generation_config.max_length = 3
    own = copy.deepcopy(model.generation_config)
    assert continuations(model, PROMPTS, 8, [EOS]) == plain
    assert model.generation_config.to_dict() == own.to_dict()


@pytest.mark.parametrize(
    ("text", "end", "reason", "tokens"),
    [("Yes.", [EOS], "stop", 4), ("Yes.", [], "length", 4), ("", [EOS], "stop", 0), ("", [], "length", 0)],
)
def test_an_answer_says_why_it_ended(text: str, end: list[int], reason: str, tokens: int) -> None:
    tokenizer = byte_tokenizer()
    answer = as_answer(tokenizer, "p", [*text.encode(), *end], [EOS])
    assert (answer.id, answer.text, answer.finish_reason, answer.tokens) == ("p", text, reason, tokens)


def test_an_answers_thinking_is_kept_apart() -> None:
    answer = as_answer(byte_tokenizer(), "p", [*b"<think>Hm.</think> Yes.", EOS], [EOS])
    assert (answer.thinking, answer.text) == ("Hm.", "Yes.")


@pytest.mark.parametrize(
    ("text", "thinking", "answer"),
    [
        ("Yes.", "", "Yes."),
        ("<think>Hm.</think>Yes.", "Hm.", "Yes."),
        ("Hm.</think>\n\nYes.", "Hm.", "Yes."),  # the template may have opened the thought
        ("<think>Hm.</think><think>So.</think>Yes.", "Hm.</think>So.", "Yes."),
        (" <think>Hm, and then", "Hm, and then", ""),
        ("<think>Hm.</think> <think>So", "Hm.</think> So", ""),
        ("<think>Hm.</think>", "Hm.", ""),
        ("I <think> not", "", "I <think> not"),
        ("", "", ""),
    ],
)
def test_thinking_is_no_answer(text: str, thinking: str, answer: str) -> None:
    assert split_thinking(text) == (thinking, answer)


@pytest.mark.parametrize("special", [True, False])
def test_a_thought_that_the_template_opened_is_no_answer(special: bool) -> None:
    tokenizer = byte_tokenizer()
    tokenizer.add_tokens([AddedToken(mark, special=special) for mark in ("<think>", "</think>")])
    opened = answer_head(tokenizer, tokenizer("<|user|>How?<|assistant|><think>\n")["input_ids"])
    for text, expected in {"Hm, and": ("Hm, and", ""), "Hm.</think>Yes.": ("Hm.", "Yes.")}.items():
        answer = as_answer(tokenizer, "p", tokenizer(text)["input_ids"], [EOS], opened)
        assert (answer.thinking, answer.text) == expected


@pytest.mark.parametrize(
    ("rendered", "prefill", "expected"),
    [
        ("<|user|>How?<|assistant|>", "", ""),
        ("<|user|>How?<|assistant|>Sure, here", "Sure, here", "Sure, here"),
        ("<|user|>Say <think>!<|assistant|>", "", ""),
        ("<|user|>How?<|assistant|><think>\n\n</think>\n\n", "", ""),
        ("<|user|>How?<|assistant|><think>\nOkay, ", "Okay, ", "<think>Okay, "),
    ],
)
def test_an_answer_begins_with_what_the_prompt_holds_of_it(rendered: str, prefill: str, expected: str) -> None:
    tokenizer = byte_tokenizer()
    assert answer_head(tokenizer, tokenizer(rendered)["input_ids"], prefill) == expected
    answer = as_answer(tokenizer, "p", [*b" is.", EOS], [EOS], expected)
    assert f"{answer.thinking}{answer.text}" == f"{expected.removeprefix('<think>')} is.".strip()
