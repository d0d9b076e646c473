"""The published baselines: against their formulas, on nine architectures as whole runs, and what they refuse."""

import os
import re
import shutil
from collections.abc import Callable
from functools import partial
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import oracle
import pytest
import torch
from click.testing import CliRunner
from recover.cli.main import cli
from safetensors.torch import save_file
from tiny import FAMILIES, ascii_only, prompt_set, save_model, tiny_model, tiny_pair
from torch import Tensor, nn
from transformers import AutoModelForCausalLM
from transformers.pytorch_utils import Conv1D

from recover.batch import manifest
from recover.checkpoints.checkpoint import Checkpoint, canonical
from recover.checkpoints.pair import Pair
from recover.checkpoints.patch import restored_checkpoint
from recover.checkpoints.publish import publish, staged, write_copy
from recover.checkpoints.selection import Selection
from recover.errors import InputError
from recover.generation.chat import ChatFormat
from recover.jobs.request import Job
from recover.jobs.restore import restore
from recover.judges import Judgement, Verdict, is_refusal
from recover.model.editable import EditableModel
from recover.search.loop import Recovery, recover
from recover.search.methods import ABOUT, METHODS, Check, Data, Limits
from recover.search.methods.dg_hard import denoised, known, threshold
from recover.search.methods.matrices import by_matrix, fixed, linear_layers
from recover.search.methods.resta import arithmetic, kept
from recover.search.methods.safe_delta import adjusted, admitted, inputs, inverse_factor
from recover.search.methods.safe_lora import projected
from recover.search.methods.snip_diff import scores
from recover.search.objective import passage

CPU = torch.device("cpu")
HARMFUL = prompt_set("harm", 6, "refuse")
BASELINES = {"resta": {}, "safe-lora": {"tau": 1.0}, "safe-delta": {"scale": 1e4}, "snip-diff": {}, "dg-hard": {}}
SAFE = Check(harmful=0.0, target=1.0)


class Harmless:
    """A judge that finds nothing harmful: any step is kept, since it is better than none."""

    name = fingerprint = "harmless"

    def __call__(self, items: list[Any]) -> list[Judgement]:
        return [Judgement(Verdict.SAFE, False)] * len(items)


def three(folder: Path, family: str = "llama", **changes: Any) -> Pair:
    """A pair whose aligned model came from another one by seeded noise, also in what the fine-tune left alone."""
    places = tiny_pair(folder, family, **changes)
    before, noise = ascii_only(tiny_model(family, **changes)), torch.Generator().manual_seed(7)
    for parameter in before.parameters():
        parameter.data += 0.05 * torch.randn(parameter.shape, generator=noise)
    return Pair.open(*places, unaligned=save_model(folder / "unaligned", before))


def two(pair: Pair) -> Pair:
    return Pair(pair.aligned, pair.tuned)


def by(method: str, pair: Pair, **options: Any) -> Recovery:
    return recover(
        pair if ABOUT[method].unaligned else two(pair),
        method=method,
        options={**BASELINES[method], **options},
        harmful=HARMFUL,
        validation=prompt_set("valid", 3, "refuse"),
        general=prompt_set("plain", 3),
        judge=Harmless(),
    )


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def loaded(checkpoint: Any, folder: Path) -> Any:
    """What transformers reads of a written checkpoint."""
    with staged(folder) as place:
        write_copy(checkpoint, place)
        publish(place, folder)
    return AutoModelForCausalLM.from_pretrained(folder)


def values(pair: Pair, name: str) -> tuple[Tensor, Tensor, Tensor]:
    return (*(v.double() for v in pair.values(name)), pair.before(name).double())


@pytest.fixture(scope="module")
def llama3(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return three(tmp_path_factory.mktemp("three"))


# Whole runs -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
def test_every_baseline_restores_every_family_and_what_it_writes_loads(tmp_path: Path, family: str) -> None:
    pair = three(tmp_path, family)
    for method in BASELINES:
        found = by(method, pair)
        assert found.account.best_step == 1, method
        state = loaded(found.checkpoint, tmp_path / method).state_dict()
        assert 0 < found.account.restored == sum(b.restored for b in found.account.by_block)
        changed = {n for n in pair.names if not torch.equal(found.checkpoint.tensor(n), pair.tuned.tensor(n))}
        assert changed, method
        assert changed <= {*(found.edit.positions if isinstance(found.edit, Selection) else found.edit)}
        there = {canonical(key): value for key, value in state.items()}
        assert all(torch.equal(there[n], found.checkpoint.tensor(n)) for n in pair.names if n in there), method


@pytest.mark.parametrize("offload", ["never", "always"])
@pytest.mark.parametrize("method", BASELINES)
def test_what_is_measured_is_what_is_written(llama3: Pair, tmp_path: Path, method: str, offload: str) -> None:
    """Also tensors that the fine-tune left alone, and blocks that come from the files."""
    ids, seen = torch.arange(24)[None], []
    speech = ChatFormat.of([llama3.aligned, llama3.tuned], None)
    live = EditableModel(llama3, torch.float32, CPU, offload == "always")
    before = live.model(ids).logits

    def measure(step: Any) -> Check:
        seen.append((live.model(ids).logits, live.selection if step.edit is None else step.edit))
        return SAFE

    METHODS[method](live, data_of(speech), Limits(10**6), measure, **BASELINES[method])
    logits, edit = seen[0]
    assert torch.allclose(loaded(restored_checkpoint(llama3, edit), tmp_path / "out")(ids).logits, logits)
    assert not torch.allclose(logits, before)
    live.flip(live.selection)
    assert torch.equal(live.model(ids).logits, before)


def data_of(speech: ChatFormat) -> Data:
    return Data(
        harmful=speech.encode(HARMFUL),
        general=speech.encode(prompt_set("plain", 3)),
        task=speech.encode(prompt_set("task", 3)),
        references=[[65, 66, 257], [67, 257], [68, 69, 70, 71, 257]],
        answer=speech.continuations,
        refuses=lambda tokens: is_refusal(speech.decode(tokens)),
    )


# resta ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("gamma", "drop"), [(0.5, 0.0), (1.0, 0.3), (0.0, 0.9)])
def test_resta_is_its_formula(llama3: Pair, gamma: float, drop: float) -> None:
    found = by("resta", llama3, gamma=gamma, drop=drop)
    for name in llama3.names:
        keep = kept(name, llama3.tuned.tensor(name).shape, drop, seed=0)
        expected = oracle.resta(*values(llama3, name), gamma, keep.double(), drop)
        assert torch.allclose(found.checkpoint.tensor(name).double(), expected, atol=1e-6), name
    assert (found.account.fraction, found.account.restored) == (1.0, llama3.tuned.weights)


def test_resta_without_a_safety_vector_is_the_tuned_model_bit_for_bit(llama3: Pair) -> None:
    assert by("resta", llama3, gamma=0.0).checkpoint.fingerprint == llama3.tuned.fingerprint


def test_dare_drops_its_share_and_keeps_the_mean() -> None:
    keep = kept("some.weight", torch.Size((400, 500)), 0.3, seed=0)
    assert keep.mean().item() == pytest.approx(0.7, abs=0.005)
    a, f = torch.zeros(400, 500), torch.ones(400, 500)
    assert arithmetic(a, f, a, 0.5, keep, 0.3).mean().item() == pytest.approx(1.0, abs=0.01)
    assert not torch.equal(keep, kept("other.weight", keep.shape, 0.3, seed=0))
    assert not torch.equal(keep, kept("some.weight", keep.shape, 0.3, seed=1))


# safe-lora --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("merge", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("shape", [(6, 9), (9, 6)])
@pytest.mark.parametrize("tau", [0.0, 0.3, 0.5, 1.0])
def test_safe_lora_is_its_formula(shape: tuple[int, int], tau: float, merge: float) -> None:
    for seed in range(6):
        u, a, f = (random(*shape, seed=3 * seed + i) for i in range(3))
        f = a + (a - u if seed % 2 else 0) + 0.5 * f  # half of the updates lie along the alignment
        update = projected(a - u, f - a, tau, merge)
        found = f if update is None else a + update
        assert torch.allclose(found, oracle.safe_lora(a, f, u, tau, merge))


def test_safe_lora_leaves_what_alignment_left() -> None:
    assert projected(torch.zeros(3, 4), torch.ones(3, 4), 1.0, 0.0) is None


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_safe_lora_names_the_matrices_that_it_projects(tmp_path: Path, family: str) -> None:
    """Whichever way they lie: GPT-2's are (inputs, outputs)."""
    pair = three(tmp_path, family)
    live = EditableModel(pair, torch.float32, CPU)
    turned = {n for n, layer in linear_layers(live).items() if isinstance(layer, Conv1D)}
    assert bool(turned) == (family == "gpt2")
    tau = 0.75  # some are over it and some under
    found, moved = by("safe-lora", pair, tau=tau), set()
    for name in pair.names:
        a, f, u = values(pair, name)
        expected = f
        if name in live.matrices:
            sides = (v.T if name in turned else v for v in (a, f, u))
            expected = oracle.safe_lora(*sides, tau, 0.0)
            expected = expected.T if name in turned else expected
            moved |= set() if torch.equal(expected, f) or torch.equal(expected.T, f) else {name}
        assert torch.allclose(found.checkpoint.tensor(name).double(), expected, atol=1e-5), name
    assert 0 < len(moved) <= len(live.matrices)
    assert {*found.edit} == moved
    assert found.account.restored == sum(pair.tuned.tensor(n).numel() for n in moved)
    assert found.account.stopped == f"{len(moved)} of {len(live.matrices)} matrices projected"


def test_a_merge_is_labelled_a_variant(llama3: Pair) -> None:
    assert by("safe-lora", llama3, merge=0.2).account.stopped.endswith("merge = 0.2 (a variant)")


# safe-delta -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [0.0, 1e5, 1e6, 4e6, 1e9])
def test_safe_delta_is_its_formula(scale: float) -> None:
    a, f = random(5, 300, seed=1), random(5, 300, seed=2)  # wider than what is compensated together
    x = random(700, 300, seed=3) @ random(300, 300, seed=4) / 400  # of such a size that an input without values counts
    x[:, 17] = 0.0
    found = adjusted(a, f, x.T @ x, scale, "ratio", 0.01)
    expected = oracle.safe_delta(a, f, x, scale, 0.01)
    assert torch.allclose(found, expected, atol=1e-6)
    assert torch.equal(found, a) == (scale == 0)


def test_the_factor_is_one_of_the_damped_inverse() -> None:
    x = random(40, 8)
    upper = inverse_factor(x.T @ x, 0.01)
    damped = x.T @ x + 0.01 * (x.T @ x).diagonal().mean() * torch.eye(8, dtype=x.dtype)
    assert torch.allclose(upper.T @ upper @ damped, torch.eye(8, dtype=x.dtype), atol=1e-9)
    assert torch.equal(upper, upper.triu())


def test_compensation_makes_the_layers_outputs_more_like_the_aligned_ones() -> None:
    a, f, x = random(6, 20, seed=1), random(6, 20, seed=2), random(12, 20, seed=3)
    gram = x.T @ x
    mask = admitted(f - a, inverse_factor(gram, 0.01).diagonal() ** 2, 1e7, "ratio")
    assert 0 < mask.sum() < mask.numel()
    plain, ours = torch.where(mask, f, a), adjusted(a, f, gram, 1e7, "ratio", 0.01)
    assert torch.equal(ours[mask], f[mask])
    assert ((ours - a) @ x.T).norm() < 0.9 * ((plain - a) @ x.T).norm()


@pytest.mark.parametrize("order", ["ratio", "cost"])
def test_what_is_admitted_is_within_the_budget(order: str) -> None:
    update, squares = random(30, 40), random(40, seed=1) ** 2 + 0.1
    cost, limit = update**2 / squares, 1e6 * 30 * (1 / squares).sum() / 4096**2
    mask = admitted(update, squares, 1e6, order)
    assert 0 < cost[mask].sum() <= limit
    if order == "cost":
        assert cost[mask].max() <= cost[~mask].min()
    else:
        inside, outside = (squares.expand_as(cost)[m] for m in (mask, ~mask))
        assert inside.min() >= outside.max()


@pytest.mark.parametrize("family", FAMILIES)
def test_safe_delta_sums_what_the_aligned_layers_see(tmp_path: Path, family: str) -> None:
    """Padding is not seen, and prompts of any length are."""
    pair = two(three(tmp_path, family))
    live = EditableModel(pair, torch.float32, CPU)
    rows = [[*range(60, 60 + n)] for n in (3, 17, 9)]
    found: dict[str, Tensor] = {}
    with live.as_aligned() as model:
        for grams in inputs(model, [passage(row[:-2], row[-2:]) for row in rows], linear_layers(live)):
            assert not found.keys() & grams.keys()
            found |= grams
    assert found.keys() == {*live.matrices}
    with live.as_aligned() as model:
        for name, layer in linear_layers(live).items():
            x = oracle.layer_inputs(model, layer, [row[:-1] for row in rows])
            assert torch.allclose(found[name], x.T @ x, rtol=1e-4, atol=1e-3), name


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_safe_delta_reads_the_aligned_model_on_its_own_answers(tmp_path: Path, family: str) -> None:
    """Its inputs and answers, and not the tuned model's; and GPT-2's matrices, which lie the other way."""
    pair = two(three(tmp_path, family))
    live, data = EditableModel(pair, torch.float32, CPU), data_of(ChatFormat.of([pair.aligned, pair.tuned], None))
    aligned, edits = AutoModelForCausalLM.from_pretrained(pair.aligned.path), []
    rows = [
        [*prompt, *answer][:-1]
        for prompt, answer in zip(data.harmful, data.answer(aligned, data.harmful, 5), strict=True)
    ]
    METHODS["safe-delta"](live, data, Limits(1), lambda step: edits.append(step.edit), scale=1e4, tokens=5)
    there = {canonical(name): module for name, module in aligned.named_modules()}
    for name in live.matrices[:3]:
        layer = there[name.removesuffix(".weight")]
        x = oracle.layer_inputs(aligned, layer, rows).double()
        a, f = (v.double().T if isinstance(layer, Conv1D) else v.double() for v in pair.values(name))
        expected = oracle.safe_delta(a, f, x, 1e4, 0.01)
        found = edits[0][name](*pair.values(name)).double()
        found = found.T if isinstance(layer, Conv1D) else found
        assert (found - expected).abs().median() < 1e-6, name
        assert (found - expected).norm() < 0.05 * (expected - a).norm(), name  # a few may be admitted in one of the two


def test_safe_delta_with_no_budget_is_the_aligned_model_in_its_matrices(llama3: Pair) -> None:
    found = by("safe-delta", llama3, scale=0.0)
    live = EditableModel(two(llama3), torch.float32, CPU)
    for name in llama3.names:
        side = llama3.aligned if name in live.matrices else llama3.tuned
        assert torch.equal(found.checkpoint.tensor(name), side.tensor(name))


# snip-diff --------------------------------------------------------------------------------------------------------


def test_snip_scores_are_those_of_one_backward_pass(llama3: Pair) -> None:
    live = EditableModel(two(llama3), torch.float32, CPU)
    rows = [((258, 70, 71, 259), (80, 81, 257)), ((258, 72, 259), (90, 257)), ((258, 72, 73, 74, 259), (91,))]
    expected = oracle.snip_scores(AutoModelForCausalLM.from_pretrained(llama3.tuned.path), rows)
    found = {name: score.clone() for name, score in scores(live, rows)}
    assert found.keys() == {*live.matrices}
    assert all(torch.allclose(s, expected[f"model.{n}"], rtol=1e-3, atol=1e-7) for n, s in found.items())


def test_snip_diff_is_the_difference_of_two_sets(llama3: Pair) -> None:
    speech, q, p = ChatFormat.of([llama3.aligned, llama3.tuned], None), 0.2, 0.1
    live, data = EditableModel(two(llama3), torch.float32, CPU), data_of(speech)
    aligned, tuned = (AutoModelForCausalLM.from_pretrained(c.path) for c in (llama3.aligned, llama3.tuned))
    safe = list(zip(data.harmful, speech.continuations(aligned, data.harmful, 24), strict=True))
    useful = list(zip(data.task, data.references, strict=True))
    sizes = {n: live.parameters[n].numel() for n in live.matrices}
    sets = []
    for rows, share in ((safe, q), (useful, p)):
        scored = oracle.snip_scores(tuned, rows)
        sets.append(oracle.top_k({n: scored[f"model.{n}"] for n in sizes}, -int(-share * sum(sizes.values()) // 1)))
    METHODS["snip-diff"](live, data, Limits(10**6), lambda _: SAFE, q=q, p=p)
    found = {(n, i) for n, positions in live.selection for i in positions.tolist()}
    assert 0 < len(sets[0] & sets[1]) < len(sets[0])
    assert len(found ^ (sets[0] - sets[1])) <= len(found) // 500  # scores that are equal but for rounding


def test_snip_diff_stays_in_its_budget(llama3: Pair) -> None:
    live = EditableModel(two(llama3), torch.float32, CPU)
    data = data_of(ChatFormat.of([llama3.aligned, llama3.tuned], None))
    METHODS["snip-diff"](live, data, Limits(100), lambda _: SAFE, q=0.5, p=0.0)
    assert len(live.selection) == 100


# dg-hard ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("beta", [0.1, 0.25, 0.5, 0.8, 1.0])
def test_the_median_rule_is_the_optimal_threshold_for_the_median_of_noise(beta: float) -> None:
    """omega(beta) = lambda(beta) / sqrt(median of the Marchenko-Pastur law): the cubic is within 0.02 of it."""
    low, high = (1 - sqrt(beta)) ** 2, (1 + sqrt(beta)) ** 2
    t = np.linspace(low, high, 2_000_001)[1:-1]
    mass = np.cumsum(np.sqrt((high - t) * (t - low)) / t)
    median = t[np.searchsorted(mass, mass[-1] / 2)]
    shape = torch.Size((round(100 * beta), 100))
    assert threshold(torch.ones(5), shape, 0.0) == pytest.approx(known(beta) / sqrt(median), abs=0.02)
    assert threshold(torch.ones(5), shape[::-1], 0.1) == threshold(torch.ones(5), shape, 0.1) == known(beta)


def test_the_optimal_threshold_of_a_square_matrix_is_the_published_one() -> None:
    assert known(1.0) == pytest.approx(4 / sqrt(3))


@pytest.mark.parametrize("shape", [(60, 90), (90, 60)])
@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_dg_hard_finds_the_signal_in_the_noise(shape: tuple[int, int], noise: float) -> None:
    signal = random(shape[0], 3, seed=1) @ random(3, shape[1], seed=2)
    update = signal + 0.01 * random(*shape, seed=3)
    limit = threshold(torch.linalg.svdvals(update), update.shape, noise)
    found = denoised(update, noise)
    assert found is not None
    assert torch.allclose(found, oracle.dg_hard(update, limit))
    assert torch.linalg.matrix_rank(found) == 3
    assert (found - signal).norm() < 0.5 * (update - signal).norm()


def test_dg_hard_leaves_an_update_of_low_rank(tmp_path: Path) -> None:
    places = tiny_pair(tmp_path)
    model = AutoModelForCausalLM.from_pretrained(places[0])
    for number, layer in enumerate(m for m in model.modules() if isinstance(m, nn.Linear)):
        rows, columns = layer.weight.shape
        layer.weight.data += 0.1 * (random(rows, 2, seed=number) @ random(2, columns, seed=99)).float()
    pair = Pair.open(places[0], save_model(tmp_path / "lora", model))
    found = recover(
        pair, method="dg-hard", harmful=HARMFUL, validation=prompt_set("valid", 3), general=HARMFUL, judge=Harmless()
    )
    for name in pair.names:
        assert torch.allclose(found.checkpoint.tensor(name), pair.tuned.tensor(name), atol=1e-6)


# What they have in common -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_fixed_change_is_its_value(dtype: torch.dtype) -> None:
    value = random(7, 5).to(dtype).T
    assert torch.equal(fixed(value)(value, value), value)


def needed(method: str) -> Callable[..., Recovery]:
    return partial(recover, method=method, harmful=HARMFUL, validation=HARMFUL, general=HARMFUL, judge=Harmless())


@pytest.mark.parametrize("method", ["resta", "safe-lora"])
def test_a_method_without_its_unaligned_model_says_what_it_needs(llama3: Pair, method: str) -> None:
    with pytest.raises(InputError, match=f"{method} needs the base model that ALIGNED was .*--unaligned PATH"):
        needed(method)(two(llama3))


@pytest.mark.parametrize("method", [name for name, about in ABOUT.items() if not about.unaligned])
def test_a_method_that_does_not_use_it_refuses_an_unaligned_model(llama3: Pair, method: str) -> None:
    with pytest.raises(InputError, match=f"{method} does not use an unaligned model; .* one of resta, safe-lora"):
        needed(method)(llama3)


@pytest.mark.parametrize(
    ("method", "option", "said"),
    [
        ("resta", {"drop": 1.0}, "drop=1.0; expected a share from 0 to under 1"),
        ("safe-lora", {"merge": 1.5}, "merge=1.5; expected a share from 0 to 1"),
        ("safe-delta", {"order": "best"}, "order='best'; expected ratio or cost"),
    ],
)
def test_a_wrong_option_is_one_sentence(llama3: Pair, method: str, option: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=re.escape(said)):
        by(method, llama3, **option)


def test_every_mismatch_of_the_unaligned_model_is_listed(llama3: Pair, tmp_path: Path) -> None:
    other = save_model(tmp_path / "other", tiny_model("llama", intermediate_size=40))
    with pytest.raises(InputError, match=r"do not belong together: .*ALIGNED must be a fine-tune of UNALIGNED") as e:
        Pair.open(llama3.aligned.path, llama3.tuned.path, unaligned=other)
    assert str(e.value).count("in UNALIGNED") == 6  # three matrices in each of two blocks
    assert str(other) in str(e.value)
    assert "TUNED" not in str(e.value)


def test_an_unaligned_model_with_nan_is_refused(llama3: Pair, tmp_path: Path) -> None:
    model = tiny_model()
    model.model.layers[0].mlp.up_proj.weight.data[0, 0] = torch.nan
    pair = Pair.open(llama3.aligned.path, llama3.tuned.path, unaligned=save_model(tmp_path / "nan", model))
    with pytest.raises(InputError, match=r"UNALIGNED holds NaN .* layers\.0\.mlp\.up_proj"):
        by("resta", pair)


def test_a_tied_head_that_the_unaligned_model_does_not_store_moves_with_its_embedding(tmp_path: Path) -> None:
    places = []
    for seed, name in enumerate(("aligned", "tuned", "unaligned")):
        model = tiny_model(seed=seed, tie_word_embeddings=True)
        places.append(save_model(tmp_path / name, model))
        if name != "unaligned":
            state = {key: value.clone() for key, value in model.state_dict().items()}
            save_file(state, places[-1] / "model.safetensors", {"format": "pt"})
    found = by("resta", Pair.open(*places[:2], unaligned=places[2])).checkpoint
    assert torch.equal(found.tensor("lm_head.weight"), found.tensor("embed_tokens.weight"))
    assert not torch.equal(found.tensor("lm_head.weight"), Checkpoint.open(places[1]).tensor("lm_head.weight"))


def test_a_weight_that_is_no_matrix_is_refused(llama3: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    values = Pair.values
    monkeypatch.setattr(Pair, "values", lambda self, name: tuple(v[None] for v in values(self, name)))
    with pytest.raises(InputError, match=r"has shape \[1, \d+, \d+\]; this method knows matrices alone"):
        by_matrix(EditableModel(llama3, torch.float32, CPU), ["layers.0.mlp.up_proj.weight"], lambda *_: None)


def test_rows_that_the_unaligned_vocabulary_lacks_do_not_move(tmp_path: Path) -> None:
    aligned, tuned = tiny_model(), tiny_model()
    tuned.get_input_embeddings().weight.data += 0.1
    sides = [save_model(tmp_path / name, model) for name, model in {"aligned": aligned, "tuned": tuned}.items()]
    pair = Pair.open(*sides, unaligned=save_model(tmp_path / "u", tiny_model(vocab_size=262, pad_token_id=0)))
    name = "embed_tokens.weight"
    assert torch.equal(pair.before(name)[262:], pair.aligned.tensor(name)[262:])
    assert pair.before(name).shape == pair.tuned.tensor(name).shape


@pytest.mark.parametrize("method", [name for name, about in ABOUT.items() if not about.patch])
def test_a_dense_method_has_no_patch(llama3: Pair, tmp_path: Path, method: str) -> None:
    sides = {"aligned": str(llama3.aligned.path), "tuned": str(llama3.tuned.path)}
    unaligned = str(llama3.unaligned.path) if llama3.unaligned and ABOUT[method].unaligned else None
    asked = Job(**sides, unaligned=unaligned, method=method, format="patch", out=tmp_path / "out", benign=None)
    with pytest.raises(InputError, match=f"{method} changes .*, which a patch cannot hold; use --format checkpoint"):
        restore(asked)


def test_a_batch_knows_what_a_baseline_needs(llama3: Pair, tmp_path: Path) -> None:
    """Another unaligned model is another result, and none at all is a fault before anything runs."""
    source, unaligned = tmp_path / "many.toml", tmp_path / "unaligned"
    shutil.copytree(llama3.unaligned.path if llama3.unaligned else "", unaligned)
    text = (
        f'aligned = "{llama3.aligned.path}"\n[[job]]\nname = "one"\nmethod = "resta"\ntuned = "{llama3.tuned.path}"\n'
    )
    source.write_text(text)
    with pytest.raises(InputError, match="job one: resta needs the base model"):
        manifest.read(source, tmp_path / "out", None)
    source.write_text(f'{text}unaligned = "{unaligned}"\n')
    (first,) = manifest.read(source, tmp_path / "out", None).members
    os.utime(unaligned / "model.safetensors", (1, 1))
    (second,) = manifest.read(source, tmp_path / "out", None).members
    assert first.broken is None
    assert first.inputs != second.inputs


def test_methods_lists_them_all() -> None:
    assert ABOUT.keys() == METHODS.keys()
    told = CliRunner().invoke(cli, ["methods"])
    assert told.exit_code == 0
    for name, about in ABOUT.items():
        assert re.search(rf"^{name} +\S.*\n +reads .*{re.escape(about.reads)}", told.output, re.MULTILINE)
    assert told.output.count("(needs --unaligned)") == 2
