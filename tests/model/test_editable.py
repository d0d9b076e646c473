"""The live model: whatever is flipped, its weights are where(selection, aligned, tuned), and no file ever changes."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import oracle
import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from kinds import CONTAINERS
from tiny import save_model, tiny_model, tiny_pair, tune
from torch import Tensor
from transformers import AutoModelForCausalLM

from recover.checkpoints.architecture import weights_by_name
from recover.checkpoints.checkpoint import Checkpoint, canonical
from recover.checkpoints.pair import Pair
from recover.checkpoints.selection import Selection
from recover.errors import InputError
from recover.model.editable import EditableModel
from recover.search.objective import divergence, passage, teach
from recover.search.ranking import sample

CPU = torch.device("cpu")
DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> dict[torch.dtype, list[Path]]:
    kinds = (torch.float32, torch.bfloat16, torch.float16)
    return {dtype: tiny_pair(tmp_path_factory.mktemp(str(dtype)), dtype=dtype) for dtype in kinds}


@pytest.fixture
def live(llama: list[Path]) -> EditableModel:
    return EditableModel(Pair.open(*llama), torch.float32, CPU)


def weights(live: EditableModel) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in weights_by_name(live.model).items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def untouched(live: EditableModel) -> bool:
    """Whether both files, and the maps through which the live model reads them, hold what they held at first."""
    for side in (live.pair.aligned, live.pair.tuned):
        fresh = Checkpoint.open(side.path)
        if fresh.fingerprint != side.fingerprint:
            return False
        if not all(torch.equal(fresh.tensor(name), side.tensor(name)) for name in fresh.names()):
            return False
    return True


# Flips ------------------------------------------------------------------------------------------------------------


class Flips(RuleBasedStateMachine):
    """Random flips, looks at the aligned model and undone flips, beside a plain copy of what the weights must be."""

    def __init__(self, pair: Pair, dtype: torch.dtype) -> None:
        super().__init__()
        self.live = EditableModel(pair, dtype, CPU)
        read = ((n, pair.aligned.tensor(n).to(dtype), pair.tuned.tensor(n).to(dtype)) for n in pair.names)
        self.sides = {n: (a.flatten().clone(), f.flatten().clone()) for n, a, f in read}
        self.taken = {n: np.zeros(a.numel(), bool) for n, (a, _) in self.sides.items()}
        self.last = Selection()

    @rule(count=st.integers(0, 3000), seed=st.integers(0, 99))
    def flip(self, count: int, seed: int) -> None:
        self.last = sample({n: p.numel() for n, p in self.live.parameters.items()}, count, seed)
        self._flip(self.last)

    @rule()
    def undo(self) -> None:
        self._flip(self.last)

    @rule()
    def return_all(self) -> None:
        self._flip(self.live.selection)

    def _flip(self, flips: Selection) -> None:
        for name, positions in flips:
            self.taken[name][positions.numpy()] ^= True
        self.live.flip(flips)

    @rule()
    def look_at_the_aligned_model(self) -> None:
        with self.live.as_aligned():
            assert same(weights(self.live), {n: self._shaped(n, a) for n, (a, _) in self.sides.items()})

    def _shaped(self, name: str, flat: Tensor) -> Tensor:
        return flat.view(self.live.pair.tuned.header(name)[1])

    @invariant()
    def weights_are_where_selection_aligned_tuned(self) -> None:
        taken = {n: torch.from_numpy(mask) for n, mask in self.taken.items()}
        assert self.live.selection == Selection({n: mask.nonzero().flatten() for n, mask in taken.items()})
        expected = {n: self._shaped(n, torch.where(taken[n], a, f)) for n, (a, f) in self.sides.items()}
        assert same(weights(self.live), expected)
        others = {n: self._shaped(n, torch.where(taken[n], f, a)) for n, (a, f) in self.sides.items()}
        assert all(torch.equal(self.live.other(n), others[n]) for n in self.live.parameters)
        assert all(torch.equal(self.live.current(n).to(expected[n]), expected[n]) for n in self.live.parameters)

    def teardown(self) -> None:
        assert untouched(self.live)


@DTYPES
def test_any_sequence_of_flips(pairs: Any, dtype: torch.dtype) -> None:
    machine = partial(Flips, Pair.open(*pairs[dtype]), dtype)
    run_state_machine_as_test(machine, settings=settings(max_examples=8, stateful_step_count=8, deadline=None))


@DTYPES
def test_values_are_rounded_to_the_files_dtype_before_the_compute_dtype(pairs: Any, dtype: torch.dtype) -> None:
    pair = Pair.open(pairs[torch.float32][0], pairs[dtype][1])
    live = EditableModel(pair, torch.float32, CPU)
    live.flip(sample(pair.changed, 10**6, seed=0))
    expected = {n: pair.aligned.tensor(n).to(dtype).float() for n in pair.changed}
    assert all(torch.equal(live.parameters[n], value) for n, value in expected.items())


@pytest.mark.parametrize("kind", ["pt", "strided", "legacy", "shards"])
def test_flips_in_other_containers(tmp_path: Path, llama: list[Path], kind: str) -> None:
    pair = Pair.open(llama[0], CONTAINERS[kind](tmp_path, tune(tiny_model())))
    live = EditableModel(pair, torch.float32, CPU)
    everything = sample(pair.changed, 10**6, seed=0)
    live.flip(everything)
    aligned = AutoModelForCausalLM.from_pretrained(llama[0]).state_dict()
    assert same(weights(live), {canonical(key): value for key, value in aligned.items()})
    live.flip(everything)
    assert same(weights(live), {n: pair.tuned.tensor(n) for n in pair.names})
    assert untouched(live)


# A model for a while ------------------------------------------------------------------------------------------------


def test_an_edit_lasts_as_long_as_its_block(live: EditableModel) -> None:
    live.flip(sample(live.pair.changed, 500, seed=1))
    before = weights(live)
    with live.edited(dict.fromkeys(live.pair.names, lambda a, f: (a + f) / 2)) as model:
        assert model is live.model
        for name in live.parameters:
            assert torch.equal(
                live.parameters[name], (live.pair.aligned.tensor(name) + live.pair.tuned.tensor(name)) / 2
            )
    assert same(weights(live), before)
    assert untouched(live)


@pytest.mark.parametrize("raised", [RuntimeError, KeyboardInterrupt])
def test_an_exception_in_the_block_restores_too(live: EditableModel, raised: type[BaseException]) -> None:
    live.flip(sample(live.pair.changed, 500, seed=1))
    before, names = weights(live), iter(live.parameters)

    def breaks(aligned: Tensor, tuned: Tensor) -> Tensor:
        if len(list(names)) == 0:
            raise raised
        return aligned - tuned

    with pytest.raises(raised), live.as_aligned():
        raise raised
    assert same(weights(live), before)
    with pytest.raises(raised), live.edited(dict.fromkeys(live.pair.names, breaks)):
        pytest.fail("the edit of the second tensor raises")
    assert same(weights(live), before)


def test_the_aligned_model_answers_as_the_aligned_checkpoint(live: EditableModel, llama: list[Path]) -> None:
    ids = torch.arange(24)[None]
    with live.as_aligned() as model:
        found = model(ids).logits
    assert torch.equal(found, AutoModelForCausalLM.from_pretrained(llama[0])(ids).logits)
    assert torch.equal(live.model(ids).logits, AutoModelForCausalLM.from_pretrained(llama[1])(ids).logits)


def test_the_model_is_frozen_and_in_eval_mode(live: EditableModel) -> None:
    assert not live.model.training
    assert not any(p.requires_grad for p in live.model.parameters())


# Candidates -------------------------------------------------------------------------------------------------------


def test_candidates_are_changed_matrices_inside_the_blocks(tmp_path: Path) -> None:
    model = tune(tiny_model())
    model.model.embed_tokens.weight.data += 1.0
    pair = Pair.open(save_model(tmp_path / "a", tiny_model()), save_model(tmp_path / "t", model))
    live = EditableModel(pair, torch.float32, CPU)
    assert {"embed_tokens.weight", "lm_head.weight", "layers.0.input_layernorm.weight"} <= set(live.parameters)
    assert set(live.matrices) == {n for n in pair.changed if "proj" in n}


def test_without_a_changed_matrix_there_is_nothing_to_restore(tmp_path: Path) -> None:
    model = tiny_model()
    model.model.norm.weight.data += 1.0
    model.model.embed_tokens.weight.data += 1.0
    pair = Pair.open(save_model(tmp_path / "a", tiny_model()), save_model(tmp_path / "t", model))
    with pytest.raises(InputError, match="no weight matrix inside the blocks differs"):
        EditableModel(pair, torch.float32, CPU).matrices  # noqa: B018


# Gradients and gains ------------------------------------------------------------------------------------------------

PROMPTS = [[258, *range(40, 40 + n), 259] for n in (3, 9, 5, 12, 7)]
ANSWER = [70, 71, 72, 257]


def refusal_losses(live: EditableModel, order: list[int]) -> list[Callable[[Any], Tensor]]:
    """KL to the aligned model on five prompts, a loss a prompt."""
    passages = [passage(PROMPTS[i], ANSWER) for i in order]
    with live.as_aligned() as model:
        targets = teach(model, passages, 264)
    return [lambda model, target=target: divergence(model, [target]) for target in targets]


def test_gradients_agree_with_one_plain_backward(live: EditableModel, llama: list[Path]) -> None:
    aligned, tuned = (AutoModelForCausalLM.from_pretrained(p).double() for p in llama)
    losses = [partial(oracle.divergence, prompt=p, answer=ANSWER, teacher=aligned) for p in PROMPTS]
    expected = {canonical(name): g for name, g in oracle.gradients(tuned, losses).items()}
    found = dict(live.gradients(refusal_losses(live, [0, 1, 2, 3, 4])))
    assert set(found) == set(live.matrices)
    for name, gradient in found.items():
        assert gradient.dtype == torch.float32
        assert torch.allclose(
            gradient.double(), expected[name], rtol=1e-3, atol=1e-4 * float(expected[name].abs().max())
        )


def test_gradients_do_not_depend_on_the_order_of_prompts(live: EditableModel) -> None:
    one = dict(live.gradients(refusal_losses(live, [0, 1, 2, 3, 4])))
    other = dict(live.gradients(refusal_losses(live, [3, 0, 4, 2, 1])))
    assert all(torch.allclose(one[n], other[n], rtol=1e-4, atol=1e-5) for n in one)


def test_gradients_leave_no_trace(live: EditableModel) -> None:
    before = weights(live)
    for _ in live.gradients(refusal_losses(live, [0])):
        pass
    assert same(weights(live), before)
    assert all(p.grad is None and not p.requires_grad for p in live.model.parameters())
    with pytest.raises(ZeroDivisionError):
        list(live.gradients([lambda _: 1 / 0]))
    assert all(p.grad is None and not p.requires_grad for p in live.model.parameters())
    assert not any(p._post_accumulate_grad_hooks for p in live.model.parameters())


def test_a_parameter_that_no_loss_reaches_has_a_zero_gradient(live: EditableModel) -> None:
    loss = lambda model: model.model.layers[0].mlp.up_proj.weight.square().sum()  # noqa: E731
    found = dict(live.gradients([loss, loss], ["layers.0.mlp.up_proj.weight", "layers.1.mlp.up_proj.weight"]))
    assert torch.allclose(found["layers.0.mlp.up_proj.weight"], 4 * live.parameters["layers.0.mlp.up_proj.weight"])
    assert not found["layers.1.mlp.up_proj.weight"].any()


def test_low_precision_gradients_are_added_up_in_fp32(pairs: Any) -> None:
    live = EditableModel(Pair.open(*pairs[torch.bfloat16]), torch.bfloat16, CPU)
    name = "layers.0.mlp.up_proj.weight"
    scales = [1.0, *[0.001] * 20]
    losses = [lambda model, s=s: s * model.model.layers[0].mlp.up_proj.weight.float().sum() for s in scales]
    ((_, found),) = live.gradients(losses, [name])
    assert torch.allclose(found, torch.full_like(found, 1.02), atol=1e-4)  # in bf16 the sum would stay 1


def task_loss(model: Any) -> Tensor:
    """The mean log-probability of a sequence in float64, which a finite difference can be taken of."""
    ids = torch.arange(40, 60)[None]
    logits = model(input_ids=ids, use_cache=False).logits.double()
    return torch.nn.functional.cross_entropy(logits[0, :-1], ids[0, 1:])


def slope(live: EditableModel, name: str, position: int, h: float = 1e-5) -> float:
    """The loss's central difference along the way from a coordinate's value to the other side's, by hand."""
    flat, values = live.parameters[name].data.view(-1), []
    start, way = float(flat[position]), float(live.other(name).reshape(-1)[position] - flat[position])
    for sign in (1, -1):
        flat[position] = start + sign * h * way
        values.append(float(task_loss(live.model).detach()))
    flat[position] = start
    return (values[0] - values[1]) / (2 * h)


@pytest.mark.parametrize("flipped", [0, 4000])
def test_gains_are_finite_differences(tmp_path: Path, flipped: int) -> None:
    live = EditableModel(Pair.open(*tiny_pair(tmp_path, "gpt2")), torch.float64, CPU)  # computes in float64 throughout
    live.flip(sample(live.pair.changed, flipped, seed=2))
    gains = {name: gain.reshape(-1) for name, gain in live.gains([task_loss])}
    assert set(gains) == set(live.matrices)
    for name, gain in gains.items():
        for position in (int(gain.argmax()), int(gain.argmin()), 7):
            assert float(gain[position]) == pytest.approx(-slope(live, name, position), rel=1e-5, abs=1e-9)


def test_a_gain_is_zero_where_both_sides_agree(live: EditableModel) -> None:
    for name, gain in live.gains([task_loss]):
        aligned, tuned = live.pair.values(name)
        assert not gain[aligned == tuned].any()
        assert gain.any()
