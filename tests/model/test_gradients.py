"""The layer-by-layer pass against one plain backward, on every family, for every loss that the methods use."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import oracle
import pytest
import torch
from tiny import FAMILIES, tiny_model, tune
from torch import Tensor

from recover.checkpoints.architecture import block_of, decoder_blocks
from recover.errors import Undecided
from recover.model import gradients as gradient_pass
from recover.model.gradients import gradients
from recover.search import objective
from recover.search.objective import divergence, last_hidden, passage, teach
from recover.search.ranking import top_k

PROMPTS = [[258, *range(40, 40 + n), 259] for n in (3, 9, 5, 12)]
ANSWERS = [[70], [71, 72, 73], [74, 75, 76, 77], [78, 257]]
Loss = Callable[[Any], Tensor]


def away(prompts: Sequence[Sequence[int]], depth: int, model: Any) -> Tensor:
    """A loss that reads no logits, only what leaves a block."""
    return last_hidden(model, prompts, depth).square().sum()


@pytest.fixture(scope="module", params=FAMILIES)
def case(request: pytest.FixtureRequest) -> tuple[Any, list[Loss]]:
    """A tuned model of three blocks, and losses that read its logits and one of its hidden states."""
    depth = {"n_layer": 3} if request.param == "gpt2" else {"num_hidden_layers": 3}
    aligned = tiny_model(request.param, **depth)
    targets = teach(aligned, [passage(p, a) for p, a in zip(PROMPTS, ANSWERS, strict=True)], 264)
    losses: list[Loss] = [lambda model, t=t: divergence(model, [t]) for t in targets]
    return tune(tiny_model(request.param, **depth)), [*losses, partial(away, PROMPTS[:2], 2)]


def ask(model: Any, prompt: Sequence[int]) -> Any:
    return model(torch.tensor([list(prompt)]), use_cache=False)


def named(model: Any) -> dict[str, Tensor]:
    return dict(model.named_parameters())


def test_the_gradient_is_one_plain_backwards(case: tuple[Any, list[Loss]]) -> None:
    model, losses = case
    expected = oracle.gradients(model, losses)
    found = dict(gradients(model, named(model), losses))
    assert set(found) == set(expected)  # embeddings, norms and the head too
    for name, gradient in found.items():
        assert torch.allclose(gradient, expected[name], rtol=1e-4, atol=1e-5 * float(expected[name].abs().max()))
    assert any(expected[n].any() for n in expected if "layers.0." in n or "h.0." in n)


def test_engine_fallback_and_oracle_select_the_same(case: tuple[Any, list[Loss]]) -> None:
    model, losses = case
    path, blocks = decoder_blocks(model)
    inside = {n: p for n, p in named(model).items() if n.startswith(path) and p.dim() == 2}
    plain = oracle.gradients(model, losses)
    ways = [way(model, list(blocks), inside, losses) for way in (gradient_pass.by_block, gradient_pass.at_once)]
    ways.append((n, plain[n]) for n in inside)
    one, other, third = (top_k(((n, g.abs()) for n, g in way), 500) for way in ways)
    assert one == other == third
    assert len(one.positions) > 3


@pytest.mark.parametrize("family", FAMILIES)
def test_a_common_prefix_is_run_once_and_changes_nothing(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    aligned, model = tiny_model(family), tune(tiny_model(family))
    head = [258, *range(60, 72)]  # longer than the window of the families that slide
    targets = teach(aligned, [passage(head + p, a) for p, a in zip(PROMPTS, ANSWERS, strict=True)], 264)
    loss = partial(lambda model, targets: divergence(model, targets), targets=targets)
    plain = dict(gradients(model, named(model), [loss]))
    monkeypatch.setattr(objective, "LEAST_SAVED_TOKENS", 1)
    widths: list[tuple[int, int]] = []
    block = decoder_blocks(model)[1][0]
    hook = block.register_forward_pre_hook(lambda _, args: widths.append(tuple(args[0].shape[:2])))
    for way in (gradient_pass.by_block, gradient_pass.at_once):
        found = dict(way(model, list(decoder_blocks(model)[1]), named(model), [loss]))
        for name, gradient in plain.items():
            assert torch.allclose(found[name], gradient, rtol=1e-3, atol=1e-5 * float(gradient.abs().max()))
    hook.remove()
    assert widths[:2] == [
        (1, 17),
        (4, 11),
    ]  # the longest prompt with its answer but for the last token, less 17 shared tokens


def test_one_blocks_gradients_are_done_before_the_next_ones_begin() -> None:
    model = tune(tiny_model(num_hidden_layers=4))
    path, blocks = decoder_blocks(model)
    begun: list[int] = []
    hooks = []
    for i, block in enumerate(blocks):
        block.requires_grad_(True)
        hooks += [p.register_post_accumulate_grad_hook(lambda _, i=i: begun.append(i)) for p in block.parameters()]
    names = {n: p for n, p in named(model).items() if n.startswith(path)}
    for name, _ in gradients(model, names, [lambda m: ask(m, PROMPTS[1]).logits.square().mean()]):
        assert min(begun) == block_of(name.removeprefix("model."), path)
    assert sorted(set(begun)) == [0, 1, 2, 3]
    for hook in hooks:
        hook.remove()


def test_blocks_under_the_lowest_parameter_get_no_backward() -> None:
    model = tune(tiny_model(num_hidden_layers=4))
    runs: list[int] = []
    for i, block in enumerate(model.model.layers):
        block.register_forward_pre_hook(lambda *_, i=i: runs.append(i))
    name = "model.layers.2.mlp.up_proj.weight"
    list(gradients(model, {name: named(model)[name]}, [lambda m: ask(m, PROMPTS[0]).logits.sum()]))
    assert runs == [0, 1, 2, 3, 3, 2]


def test_a_loss_may_ask_the_model_twice() -> None:
    model = tune(tiny_model())
    loss: Loss = lambda m: sum(ask(m, p).logits[0, -1].square().sum() for p in PROMPTS[:2])  # noqa: E731
    found, expected = dict(gradients(model, named(model), [loss])), oracle.gradients(model, [loss])
    assert all(torch.allclose(found[n], expected[n], rtol=1e-4, atol=1e-6) for n in expected)


@pytest.mark.parametrize("share", ["block", "weight", "head"])
def test_shared_weights_take_the_other_way(share: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tune(tiny_model(num_hidden_layers=3))
    layers = model.model.layers
    if share == "block":
        layers[2] = layers[0]
    elif share == "weight":
        layers[2].mlp.up_proj.weight = layers[0].mlp.up_proj.weight
    else:
        model.lm_head.weight = torch.nn.Parameter(model.model.embed_tokens.weight.data)
        layers[1].register_parameter("spare", model.lm_head.weight)
    assert not gradient_pass.separate(model, list(layers))
    monkeypatch.setattr(gradient_pass, "by_block", None)
    losses: list[Loss] = [lambda m, p=p: ask(m, p).logits[0, -1].square().sum() for p in PROMPTS]
    found, expected = dict(gradients(model, named(model), losses)), oracle.gradients(model, losses)
    assert set(found) == set(expected)
    assert all(torch.allclose(found[n], expected[n], rtol=1e-4, atol=1e-5) for n in expected)
    assert all("forward" not in vars(block) for block in layers)


def test_shared_blocks_are_not_streamed() -> None:
    model = tune(tiny_model(num_hidden_layers=3))
    model.model.layers[2], model.streamed = model.model.layers[0], object()
    with pytest.raises(Undecided, match=r"share weights and cannot be streamed .* use --offload never"):
        gradients(model, named(model), [])


def test_a_cache_is_refused() -> None:
    model = tune(tiny_model())
    with pytest.raises(ValueError, match="use_cache"):
        list(gradients(model, named(model), [lambda m: m(torch.tensor([PROMPTS[0]])).logits.sum()]))
    assert torch.is_grad_enabled()
    assert not any(p.requires_grad or p._post_accumulate_grad_hooks for p in model.parameters())
