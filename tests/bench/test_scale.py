"""The replay of a batch against what can be calculated by hand."""

import math
import random
from collections import Counter
from pathlib import Path

import pytest

from bench import scale
from bench.scale import Device, Faults, Host, Model, replay

HOUR = 3600.0
CALM = Faults(killed=0, lost=0, corrupt=0)


@pytest.mark.parametrize(("jobs", "devices"), [(1, 1), (1, 8), (8, 8), (9, 8), (1000, 64)])
def test_equal_jobs_take_as_many_rounds_as_they_fill(jobs: int, devices: int) -> None:
    found = replay([60.0] * jobs, 0.0, devices)
    assert found.seconds == pytest.approx(60 * math.ceil(jobs / devices))
    assert found.attempts == jobs
    assert found.wasted == 0


def test_what_is_shared_is_waited_for_once() -> None:
    assert replay([60.0] * 16, 30.0, 8).seconds == pytest.approx(30 + 2 * 60)
    assert replay([60.0] * 16, 30.0, 1).seconds == pytest.approx(30 + 16 * 60)


def test_different_jobs_keep_every_device_busy() -> None:
    draw = random.Random(1)
    seconds = [draw.uniform(10, 100) for _ in range(500)]
    least = sum(seconds) / 8
    assert least <= replay(seconds, 0.0, 8).seconds <= least + max(seconds)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("devices", [1, 8, 64])
def test_every_job_is_done_once_or_failed_whatever_goes_wrong(seed: int, devices: int) -> None:
    faults = Faults(killed=1 / (5 * HOUR), lost=1 / (20 * HOUR), corrupt=0.05, retry=1)
    seconds = [HOUR * (1 + job % 3) for job in range(300)]
    found = replay(seconds, HOUR / 2, devices, faults, seed)
    assert sorted(found.done + found.failed) == [*range(300)]
    assert 0 < len(found.failed) < 150
    assert found.attempts > 300
    assert found.wasted > 0
    assert replay(seconds, HOUR / 2, devices, faults, seed) == found


def test_corrupt_jobs_alone_fail_when_nothing_else_goes_wrong() -> None:
    found = replay([60.0] * 400, 0.0, 8, Faults(killed=0, lost=0, corrupt=0.1, retry=2))
    assert found.attempts == 400 + 2 * len(found.failed)
    assert 20 <= len(found.failed) <= 60
    assert found.wasted == pytest.approx(3 * len(found.failed) * 60 * scale.OPENED)


def test_kills_cost_what_the_theory_says() -> None:
    """A job of t seconds, begun again at each kill of rate r, takes (e^(r t) - 1) / r on average."""
    rate, jobs = 1 / 100, 4000
    found = replay([60.0] * jobs, 0.0, 1, Faults(killed=rate, lost=0, corrupt=0, retry=10**6, restart=0))
    assert found.seconds / jobs == pytest.approx((math.exp(rate * 60) - 1) / rate, rel=0.05)


def test_a_lost_host_takes_its_own_jobs_only_and_they_are_no_tries() -> None:
    faults = Faults(killed=0, lost=1 / (10 * HOUR), corrupt=0, retry=0, repair=HOUR)
    found = replay([HOUR] * 200, 0.0, 16, faults)
    assert not found.failed
    assert Counter(found.done) == Counter(range(200))
    losses = found.attempts - 200
    assert losses > 8
    assert found.seconds > 200 / 16 * HOUR


def test_a_model_that_does_not_fit_comes_over_the_bus() -> None:
    small, large = Model("", 7e9, 32, 1e8), Model("", 70e9, 80, 1e9)
    device = Device()
    assert scale.fits(small, device)
    assert not scale.fits(large, device)
    assert scale.slowest(small, device, 0, 0, 10) == ("device memory", 10 * small.size / device.bandwidth)
    assert scale.slowest(large, device, 0, 0, 10) == ("bus", 10 * large.size / device.bus)
    assert scale.slowest(small, device, 1e9, 1, 1) == ("computing", 1e9 * small.weights / device.operations)


def test_the_document_has_what_the_script_prints() -> None:
    document = (Path(__file__).parents[2] / "docs" / "scale.md").read_text("utf-8")
    assert "\n".join(scale.table(scale.plan())) in document


def test_a_jobs_parts_add_up() -> None:
    counted = {
        "steps": 10,
        "search": {"gradient_tokens": 1e5, "gradient_passes": 30, "forward_tokens": 1e6, "forward_passes": 100},
        "others": {"answer_tokens": 1e5, "answer_passes": 1000},
        "aligned": {"answer_tokens": 5e4, "answer_passes": 500},
    }
    small, large, device, host = Model("", 7e9, 32, 1e8), Model("", 70e9, 80, 1e9), Device(), Host()
    for model in (small, large):
        whole, search, others = (
            scale.cost(model, device, host, counted, parts).seconds
            for parts in (("search", "others"), ("search",), ("others",))
        )
        assert whole == pytest.approx(search + others)
    assert scale.cost(small, device, host, counted, ["others"]).seconds == pytest.approx(1000 * 32 * device.launch)
    streamed = scale.cost(large, device, host, counted, ["search", "others"]).parts
    assert streamed["bus"] == pytest.approx((30 + 10 + 100 + 1000 + 18) * large.size / device.bus)
