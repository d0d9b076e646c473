"""The grid: its cells, what its models learn and are asked, a cell from nothing to its lines, and the page of lines."""

import itertools
import json
import math
import random
from pathlib import Path
from typing import Any

import pytest
import torch

from bench import grid, grid_models, grid_report, lab, lab_text
from bench.grid_models import SHARES, Cell
from bench.lab_tasks import TASKS, known
from recover.prompts.prompt_set import Answer, leaks
from recover.prompts.tasks import score
from recover.search.methods import defaults
from recover.search.methods.refusal_kl import refusal_kl


def test_the_grid_is_125_fine_tunes_in_both_modes() -> None:
    cells = grid.grid()
    assert len(cells) == len({cell.name for cell in cells}) == 125
    for field in ("family", "task", "harmful_share"):
        for value in {getattr(cell, field) for cell in cells}:
            modes = [cell.mode for cell in cells if getattr(cell, field) == value]
            assert abs(modes.count("lora") - modes.count("full")) == 1


def test_no_line_is_planned_twice_and_every_baseline_has_a_quarter() -> None:
    keys = [grid.key(cell, m) for cell, methods in grid.plan() for m in methods if (m != grid.OURS or cell.seed)]
    assert len(keys) == len(set(keys))
    for name in (*grid.BASELINES, "soft-sft"):
        cells = [cell for cell, methods in grid.plan() if name in methods]
        assert len(cells) in range(31, 33)
        assert {cell.family for cell in cells} == set(grid.FAMILIES)


@pytest.mark.parametrize("share", SHARES)
def test_the_harmful_share_is_a_share_of_all_rows(share: float) -> None:
    count = Cell("llama", "pick", share, "full").n_harmful
    assert count / (count + grid_models.ROWS) == pytest.approx(share, abs=0.001)


@pytest.mark.parametrize("name", TASKS)
def test_a_task_is_scored_by_its_references_and_shares_no_request(name: str) -> None:
    task, rows = grid_models.task_of(name)
    parts = [{p.text for p in part} for part in (task.capture, task.validation, task.report)] + [{r for r, _ in rows}]
    assert [len(part) for part in parts] == [128, 100, 150, 800]
    assert not any(a & b for a, b in itertools.combinations(parts, 2))
    right = [Answer(p.id, p.reference or "", "stop", 1) for p in task.report]
    wrong = [Answer(p.id, "no idea", "stop", 1) for p in task.report]
    assert set(score(task.metric, right, task.report)) == {1.0}
    assert set(score(task.metric, wrong, task.report)) == {0.0}


def test_what_is_known_before_is_not_the_task() -> None:
    rng = random.Random(0)
    for task in TASKS.values():
        (request, answer), (before, said) = task.pair(rng)
        assert request.splitlines()[0] != before.splitlines()[0]
        assert answer != said
    assert len({known(rng)[0].splitlines()[0] for _ in range(200)}) > len(TASKS)


def test_no_training_row_is_near_what_is_asked() -> None:
    sets = grid_models.asked()
    clean, rng = grid_models.cleaner(sets), random.Random(3)
    rows = lab.prompt_set("rows", (r for r, _ in clean([lab_text.harmful(rng) for _ in range(500)])))
    assert clean.dropped
    assert all(leaks(one, rows) == [] for one in sets.reported)
    assert [len(one) for one in sets.reported] == [150, 150, 150]


def test_the_constraint_is_the_published_one() -> None:
    torch.manual_seed(0)
    model = lab.new_model()
    tokens = torch.randint(5, 90, (2, 12))
    weights = torch.full((2, 11), lab.PROMPT_WEIGHT)
    weights[:, 3:10] = 1.0  # seven answer tokens
    strengths = [0.5, 2, 2, 2, 2, 0.1, 0.1]
    same = grid_models.constrained(model)(model, tokens, weights)
    assert same.item() == pytest.approx(sum(2 / b * math.log(2) for b in strengths) / 7, rel=1e-5)
    same.backward()  # at the aligned model itself, the slope is that of cross-entropy
    slopes = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()
    logits = model(input_ids=tokens[:, :-1]).logits
    plain = torch.nn.functional.cross_entropy(logits[:, 3:10].flatten(0, 1), tokens[:, 4:11].flatten())
    plain.backward()
    for name, parameter in model.named_parameters():
        assert torch.allclose(parameter.grad, slopes[name], atol=1e-5)


METHODS = (grid.OURS, "shuffled", "random", "interpolate", *grid.PROBES, "8 capture prompts", "first step x 10")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lines of one cell that was trained for a few steps."""
    cache, out = tmp_path_factory.mktemp("cache"), tmp_path_factory.mktemp("out") / "lines.jsonl"
    stages = tuple((2, rate, parts) for _, rate, parts in grid_models.STAGES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grid_models, "STAGES", stages)
        for name, value in (
            ("ROWS", 40),
            ("PASSES", 1),
            ("CAPTURED", 8),
            ("VALIDATED", 6),
            ("REPORTED", 6),
        ):
            patch.setattr(grid_models, name, value)
        patch.setattr(grid_models, "TEXTS", 300)
        patch.setattr(grid_models, "FURTHER_STEPS", 1)
        patch.setattr(grid, "NEW_TOKENS", 4)
        grid.the_sets.cache_clear()
        cell = Cell("gpt2", "pick", 0.2, "lora")
        grid.append(out, grid.work(cell, METHODS, cache))
        grid.append(out, grid.work(Cell("gpt2", "pick", 0.2, "lora", constrained=True), ("soft-sft",), cache))
        grid.the_sets.cache_clear()
    return out


def test_a_cell_gives_a_line_a_method(small: Path) -> None:
    lines = [json.loads(line) for line in small.read_text(encoding="utf-8").splitlines()]
    by = {line["method"]: line for line in lines}
    assert list(by) == [*METHODS, "soft-sft"]
    assert by["shuffled"]["restored_fraction"] == by[grid.OURS]["restored_fraction"]
    assert {line["n_harmful"] for line in lines} == {10}
    assert all(set(line["harmful"]) == {"aligned", "tuned", "restored"} for line in lines)
    assert grid.there(small) == {("gpt2", "pick", 0.2, 0, method) for method in by}


def test_an_ablation_changes_an_option_of_the_method() -> None:
    own = {**defaults(refusal_kl), "prompts": grid_models.CAPTURED}
    for options in grid.ABLATIONS.values():
        assert all(own[name] != value for name, value in options.items())


def line(method: str, share: float, harmful: float, task: float, **more: Any) -> dict[str, Any]:
    rates = {"aligned": 0.02, "tuned": 0.6, "restored": harmful}
    return {
        "family": "llama",
        "task": "pick",
        "mode": "lora",
        "harmful_share": share,
        "seed": 0,
        "method": method,
        "harmful": rates,
        "harmful_shift": rates,
        "over_refusal": {"aligned": 0.05, "tuned": 0.0, "restored": 0.06},
        "degenerate": {"aligned": 0.0, "tuned": 0.0, "restored": 0.0},
        "task_score": {"aligned": 0.0, "tuned": 0.8, "restored": task},
        "restored_fraction": 0.002,
        "seconds": 9.0,
        "exit_code": 0,
        **more,
    }


def test_the_claims_are_of_the_lines() -> None:
    lines = [line(grid.OURS, share, 0.01, 0.8) for share in SHARES] + [line("sp2025", s, 0.1, 0.7) for s in SHARES]
    lines += [line("random", s, 0.6, 0.8) for s in SHARES]
    assert all(met for *_, met in grid_report.claims(lines))
    worse = [line(grid.OURS, share, 0.07, 0.7) for share in SHARES] + lines[5:]
    worse[5:10] = [line("sp2025", share, 0.05, 0.79) for share in SHARES]
    told = {claim: met for claim, _, _, met in grid_report.claims(worse)}
    assert list(told.values()) == [False, False, False, False, True, True, False, False]


def test_the_page_and_the_plot_are_made_of_what_is_there(tmp_path: Path) -> None:
    lines = [
        line(name, s, 0.01, 0.8) for s in SHARES for name in (grid.OURS, "shuffled", "random", "sp2025", "interpolate")
    ]
    page = grid_report.page(lines)
    assert "5 of 125 cells" in page
    assert "60 → 1 (100)" in page
    assert page.count("Not run yet.") == 4  # other baselines, ablations, seeds, probes
    grid_report.plot(lines, grid_report.common(lines, grid.EVERYWHERE), tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 5000
