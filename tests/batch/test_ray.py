"""A batch on a real Ray cluster of this machine, with two GPUs that it only believes in."""

import json
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from batches import ALL, BROKEN, GOOD, write_manifest, write_models
from cli_pairs import TESTS, command, launch, names

from bench.batch import numbers
from recover.batch import manifest
from recover.batch import ray as ray_engine
from recover.batch.local import ENGINES
from recover.batch.overview import JobEntry, read
from recover.batch.ray import RESTARTS
from recover.batch.run import run
from recover.errors import Exit, InputError, Undecided

ray = pytest.importorskip("ray", reason="needs Ray: pip install '.[ray]'")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The address of a cluster that this process is connected to; its workers find the methods of the tests."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PYTHONPATH", str(TESTS))
        context = ray.init("local", num_cpus=2, num_gpus=2, **ray_engine.LOCAL_CLUSTER, **ray_engine.RAY_LOGGING)
        yield context.address_info["gcs_address"]
        ray.shutdown()


@pytest.fixture(scope="module")
def reference(models: Path) -> dict[str, JobEntry]:
    """What processes make of the same jobs."""
    return ran(models, ALL, models / "local", engine="local")


def ran(folder: Path, tables: dict[str, Any], out: Path, engine: str = "ray", **options: Any) -> dict[str, JobEntry]:
    """Run a batch; its entries by name."""
    plan = manifest.read(write_manifest(folder, tables), out)
    return {entry.name: entry for entry in run(plan, out, engine=ENGINES[engine](None), **options).jobs}


def deadly(file: Path, deaths: int) -> dict[str, Any]:
    """A job that is the good one but for the first so many times, when its worker is killed."""
    return {**GOOD["one"], "method": "cli_pairs:deadly", "option": {"file": str(file), "deaths": deaths}}


def told(entry: JobEntry) -> dict[str, Any]:
    return entry.model_dump(include={"name", "status", "exit_code", "reason"})


# On a cluster


def test_a_cluster_gives_what_processes_give(
    models: Path, cluster: str, reference: dict[str, JobEntry], tmp_path: Path
) -> None:
    found = ran(models, ALL, tmp_path)
    assert {name: told(entry) for name, entry in found.items()} == {n: told(e) for n, e in reference.items()}
    assert [name for name, entry in found.items() if entry.status == "failed"] == list(BROKEN)
    for name in GOOD:
        assert numbers(tmp_path / str(found[name].result)) == numbers(models / "local" / str(reference[name].result))
    assert {entry.status for entry in ran(models, GOOD, tmp_path).values()} == {"skipped"}


def test_the_job_of_a_killed_worker_is_begun_anew(
    models: Path, cluster: str, reference: dict[str, JobEntry], tmp_path: Path
) -> None:
    file, out = tmp_path / "lives", tmp_path / "out"
    found = ran(models, {"one": deadly(file, 1), "two": GOOD["two"]}, out)
    assert {name: (entry.status, entry.exit_code) for name, entry in found.items()} == dict.fromkeys(
        ("one", "two"), ("done", 0)
    )
    for name in found:
        assert numbers(out / str(found[name].result)) == numbers(models / "local" / str(reference[name].result))
    devices = file.read_text().split()
    assert len(devices) == 2
    assert set(devices) <= {"0", "1"}, "a worker sees one device"
    assert (out / "one.log").read_text().count("--- ") == 2


def test_a_job_that_kills_every_worker_fails_alone(models: Path, cluster: str, tmp_path: Path) -> None:
    file = tmp_path / "lives"
    found = ran(models, {"bad": deadly(file, 99), "one": GOOD["one"]}, tmp_path / "out", jobs=1)
    assert {name: entry.status for name, entry in found.items()} == {"bad": "failed", "one": "done"}
    assert f"its worker died {RESTARTS + 1} times" in str(found["bad"].reason)
    assert found["bad"].exit_code == Exit.UNDECIDED
    assert len(file.read_text().split()) == RESTARTS + 1


def test_a_failed_job_is_tried_again_if_asked(models: Path, cluster: str, tmp_path: Path) -> None:
    found = ran(models, {"nan": ALL["nan"]}, tmp_path, retry=1)
    assert "NaN or infinite weights" in str(found["nan"].reason)
    assert (tmp_path / "nan.log").read_text().count("--- ") == 2


def test_a_node_without_the_files_says_so(models: Path, cluster: str, tmp_path: Path) -> None:
    """As on a node that does not share the file system: the folder is gone when the job begins."""
    folder = write_models(tmp_path / "models")
    plan = manifest.read(write_manifest(folder, {"one": GOOD["one"]}), tmp_path / "out")
    folder.rename(tmp_path / "elsewhere")
    (entry,) = run(plan, tmp_path / "out", engine=ENGINES["ray"](None)).jobs
    assert (entry.status, entry.exit_code) == ("failed", Exit.UNDECIDED)
    assert "must share one file system" in str(entry.reason)


def test_another_version_on_a_node_stops_the_batch(
    models: Path, cluster: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_engine, "PACKAGE", "pytest")  # here; the workers tell the version of the package
    with pytest.raises(Undecided, match=r"cannot be used: it has pytest 0\.1\.0; install pytest .* on every node"):
        ran(models, {"one": GOOD["one"]}, tmp_path)
    assert {entry.status for entry in read(tmp_path).jobs} == {"pending"}


# From the command line


def test_a_cluster_by_its_address(models: Path, cluster: str, tmp_path: Path) -> None:
    """stdout is the result's alone, though Ray tells of the worker that is killed."""
    file = write_manifest(models, {"one": deadly(tmp_path / "lives", 1)})
    asked = ("batch", file, "-o", tmp_path / "out", "--engine", "ray", "--address", cluster, "--json")
    with launch(*asked) as process:
        said, err = process.communicate(timeout=400)  # three processes import everything, one after another
    assert process.returncode == Exit.OK, err
    assert [job["status"] for job in json.loads(said)["jobs"]] == ["done"]
    assert "retried" in err


def test_an_interrupt_leaves_no_worker_and_nothing_half_written(models: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    judge = {**GOOD["one"], "judge": "cli_pairs:Waiting"}
    asked = ("batch", write_manifest(models, {"one": judge}), "-o", out, "--engine", "ray")
    with launch(*asked, env={"WAITING": str(tmp_path / "waiting")}) as process:
        while process.poll() is None and not (tmp_path / "waiting").exists():
            time.sleep(0.05)
        worker = int((out / "one" / ".lock").read_text())
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == Exit.INTERRUPTED, err
    assert "Traceback" not in err
    assert not Path(f"/proc/{worker}").exists()
    assert names(out / "one") == [".lock"]
    assert {entry.status for entry in read(out).jobs} == {"pending"}


def test_no_cluster_at_an_address(models: Path, tmp_path: Path) -> None:
    for address in ("127.0.0.1:1", "nonsense"):
        done = command(
            "batch", write_manifest(models, GOOD), "-o", tmp_path / "out", "--engine", "ray", "--address", address
        )
        assert done.returncode == Exit.UNDECIDED
        assert f"there is no Ray cluster at {address}" in done.stderr


def test_what_is_missing_or_does_not_fit_is_told_first(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="--address auto is of a cluster"):
        ENGINES["local"]("auto")
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"pip install 'recover-align\[ray\]'"):
        ENGINES["ray"](None)
