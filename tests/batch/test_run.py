"""A batch from end to end: its results, what breaks one job and not the others, and going on after a kill."""

import csv
import errno
import json
import multiprocessing
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from batches import ALL, BROKEN, GOOD, write_manifest, write_models
from cli_pairs import command, digest, launch, names

from bench.batch import numbers
from recover.batch import manifest
from recover.batch.local import local
from recover.batch.overview import Batch, JobEntry, read
from recover.batch.run import check_batch_folder, rebuild, run
from recover.batch.worker import Ended, Started
from recover.checkpoints.file_lock import locked
from recover.errors import Exit, InputError, Undecided
from recover.jobs.restore import restore
from recover.results.schema import find


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def finished(models: Path) -> Path:
    """The directory of a batch that came to its end: three good ones, three broken ones."""
    out = models / "finished"
    done = command("batch", write_manifest(models, ALL), "-o", out, "--jobs", 2)
    assert done.returncode == Exit.UNDECIDED, done.stderr
    (out / "said.txt").write_text(done.stdout + done.stderr)
    return out


@pytest.fixture
def work(models: Path, finished: Path, tmp_path: Path) -> Path:
    """A copy of the models, with that of the finished batch in `out`."""
    shutil.copytree(models, tmp_path / "w", ignore=shutil.ignore_patterns("finished"))
    shutil.copytree(finished, tmp_path / "w" / "out")
    return tmp_path / "w"


def planned(folder: Path, jobs: dict[str, Any], out: Path | None = None) -> manifest.BatchPlan:
    return manifest.read(write_manifest(folder, jobs), out or folder / "out")


def ran(folder: Path, jobs: dict[str, Any], out: Path | None = None, **options: Any) -> dict[str, JobEntry]:
    """Run a batch in this process; its entries by name."""
    place = out or folder / "out"
    return {entry.name: entry for entry in run(planned(folder, jobs, place), place, **options).jobs}


def statuses(found: Batch | dict[str, JobEntry]) -> dict[str, str]:
    entries = found.values() if isinstance(found, dict) else found.jobs
    return {entry.name: entry.status for entry in entries}


# A whole batch


def test_three_broken_ones_fail_and_the_others_are_done(finished: Path) -> None:
    found = {entry.name: entry for entry in read(finished).jobs}
    assert statuses(found) == {name: "failed" if name in BROKEN else "done" for name in ALL}
    assert [found[name].exit_code for name in ALL] == [0, 0, 0, 3, 3, 3]
    for name, word in zip(BROKEN, ("is damaged", "[7, 5] in TUNED", "NaN or infinite weights"), strict=True):
        assert word in str(found[name].reason)
        assert found[name].result is None
    assert read(finished).exit_code == Exit.UNDECIDED


def test_every_job_has_its_directory_and_its_log(finished: Path) -> None:
    for name in GOOD:
        assert names(finished / name) == [".lock", "inputs.json", "restored"]
        assert "comparing the checkpoints" in (finished / f"{name}.log").read_text()
    assert "NaN or infinite weights" in (finished / "nan.log").read_text()
    assert (finished / "one" / "restored" / "model.safetensors").is_file()
    assert (finished / "thin" / "restored" / "recovery" / "selection.safetensors").is_file()


def test_a_job_gives_what_restore_gives(models: Path, finished: Path, tmp_path: Path) -> None:
    (member,) = planned(models, {"one": GOOD["one"]}, tmp_path / "out").members
    request = member.job.model_copy(update={"out": tmp_path / "alone", "aligned": str(models / "aligned")})
    told = {key: str(models / getattr(request, key)) for key in ("tuned", "harmful", "general", "benign")}
    sets = {"report_set": (str(models / "prompts" / "report.jsonl"),)}
    restore(request.model_copy(update={**told, **sets}))
    assert numbers(find(tmp_path / "alone")) == numbers(find(finished / "one" / "restored"))
    same = (tmp_path / "alone" / "model.safetensors", finished / "one" / "restored" / "model.safetensors")
    assert digest(same[0]) == digest(same[1])


def test_the_aligned_model_is_asked_once_for_all(finished: Path) -> None:
    logs = "".join((finished / f"{name}.log").read_text() for name in GOOD)
    for prompts in ("report", "benign"):
        assert logs.count(f"keeping the aligned model's answers: {prompts}\n") == 1


def test_the_overview_is_there_and_links_every_report(finished: Path) -> None:
    rows = list(csv.DictReader((finished / "batch.csv").read_text().splitlines()))
    assert {row["name"]: row["harmful_tuned"] for row in rows} == {n: "1.0" if n in GOOD else "" for n in ALL}
    page = (finished / "batch.html").read_text()
    for name in GOOD:
        assert f'href="{name}/restored/recovery/report.html"' in page
        assert (finished / name / "restored" / "recovery" / "report.html").is_file()


def test_what_is_told_names_every_job(finished: Path) -> None:
    said = (finished / "said.txt").read_text()
    assert "6 fine-tunes of aligned: 3 with a result, 3 failed." in said
    for name, status in statuses(read(finished)).items():
        assert f"{name}: {status}" in said
    assert "[6/6]" in said
    assert "Traceback" not in said


# Again


def test_what_is_done_is_not_done_again(work: Path) -> None:
    before = {name: digest(work / "out" / name) for name in GOOD}
    found = ran(work, GOOD)
    assert statuses(found) == dict.fromkeys(GOOD, "skipped")
    assert {entry.exit_code for entry in found.values()} == {0}
    assert all(entry.seconds for entry in found.values())
    assert {name: digest(work / "out" / name) for name in GOOD} == before


def test_only_what_changed_is_done_again(work: Path) -> None:
    before = {name: digest(work / "out" / name) for name in GOOD}
    found = ran(work, {**GOOD, "two": {**GOOD["two"], "seed": 1}})
    assert statuses(found) == {"one": "skipped", "two": "done", "thin": "skipped"}
    after = {name: digest(work / "out" / name) for name in GOOD}
    assert [name for name in GOOD if before[name] != after[name]] == ["two"]
    assert (work / "out" / "two.log").read_text().count("--- ") == 2, "the log of the first time is kept"


def test_half_a_result_is_none(work: Path) -> None:
    places = [work / "out" / name / "restored" for name in ("one", "two")]
    reference = [numbers(find(place)) for place in places]
    for file in (find(places[0]), places[1].with_name("inputs.json")):
        file.write_bytes(file.read_bytes()[:100])
    assert statuses(ran(work, GOOD)) == {"one": "done", "two": "done", "thin": "skipped"}
    assert [numbers(find(place)) for place in places] == reference


def test_only_some_and_a_look_ahead(work: Path) -> None:
    shutil.rmtree(work / "out" / "two")
    shutil.rmtree(work / "out" / "one")
    file = write_manifest(work, GOOD)
    before = digest(work)
    plan = command("batch", file, "-o", work / "out", "--dry-run")
    assert plan.returncode == Exit.OK
    assert plan.stdout.splitlines() == ["one: pending", "two: pending", plan.stdout.splitlines()[2]]
    assert plan.stdout.splitlines()[2].startswith("thin: skipped")
    some = command("batch", file, "-o", work / "out", "--dry-run", "--only", "t[wx]*")
    assert some.stdout.splitlines() == ["two: pending"]
    assert digest(work) == before
    assert statuses(ran(work, GOOD, only="t*")) == {"one": "pending", "two": "done", "thin": "skipped"}


def test_fail_fast_stops_at_the_first_failure(work: Path) -> None:
    jobs = {"nan": ALL["nan"], "new": GOOD["one"]}
    assert statuses(ran(work, jobs, fail_fast=True)) == {"nan": "failed", "new": "pending"}
    assert read(work / "out").exit_code == Exit.UNDECIDED


# Kills


def test_a_killed_worker_fails_its_job_alone(work: Path) -> None:
    plan = planned(work, {f"{name}-again": GOOD[name] for name in ("one", "two")}, work / "out")
    ended = {}
    for event in local(plan.members, 1, 0):
        if event == Started("one-again"):
            (worker,) = multiprocessing.active_children()
            worker.kill()
        elif isinstance(event, Ended):
            ended[event.name] = event.reason
    assert ended == {"one-again": ended["one-again"], "two-again": None}
    assert "its process was killed" in str(ended["one-again"])
    assert multiprocessing.active_children() == []


def test_a_killed_worker_is_tried_again_if_asked(work: Path) -> None:
    (member,) = planned(work, {"again": GOOD["one"]}, work / "out").members
    events = []
    for event in local([member], 1, 1):
        events.append(event)
        if events == [Started("again")]:
            multiprocessing.active_children()[0].kill()
    assert events[:2] == [Started("again")] * 2
    assert isinstance(events[2], Ended)
    assert events[2].reason is None


def test_a_closed_engine_leaves_no_process(work: Path) -> None:
    events = local(planned(work, GOOD, work / "new").members, 2, 0)
    next(events)
    events.close()
    assert multiprocessing.active_children() == []


def waited(for_: Callable[[], bool], process: subprocess.Popen[str]) -> bool:
    """Wait until something holds; whether it does before the process ends."""
    while process.poll() is None:
        if for_():
            return True
        time.sleep(0.01)
    return False


@pytest.mark.slow
def test_a_batch_goes_on_after_every_kill(models: Path, finished: Path, tmp_path: Path) -> None:
    """Killed in the middle of a job, wherever the draw says; nothing that was complete is done again."""
    out, draw = tmp_path / "out", random.Random(7)
    file = write_manifest(models, ALL)
    complete: dict[str, int] = {}
    for kill in range(2):
        lines = sum(len(log.read_text().splitlines()) for log in out.glob("*.log")) + draw.randint(3, 14)
        with launch("batch", file, "-o", out, "--jobs", 1 + kill % 2) as process:
            alive = waited(
                lambda limit=lines: sum(len(log.read_text().splitlines()) for log in out.glob("*.log")) >= limit,
                process,
            )
            process.send_signal(signal.SIGKILL)
            process.communicate()
        assert alive, "the batch ended before it was killed"
        results = {name: find(out / name / "restored") for name in GOOD}
        there = {name: place.stat().st_ino for name, place in results.items() if place.name == "result.json"}
        assert complete.items() <= there.items()
        complete = there
    done = command("batch", file, "-o", out)
    assert done.returncode == Exit.UNDECIDED, done.stderr
    found = {entry.name: entry for entry in read(out).jobs}
    assert complete.items() <= {name: find(out / name / "restored").stat().st_ino for name in GOOD}.items()
    for name in GOOD:
        assert numbers(find(out / name / "restored")) == numbers(find(finished / name / "restored"))
        assert names(out / name) == [".lock", "inputs.json", "restored"]
    assert [found[name].exit_code for name in ALL] == [0, 0, 0, 3, 3, 3]


def test_an_interrupt_leaves_nothing_half_written(models: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    file = write_manifest(models, {"one": GOOD["one"]})
    with launch("batch", file, "-o", out) as process:
        assert waited(
            lambda: "comparing" in (out / "one.log").read_text() if (out / "one.log").exists() else False, process
        )
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == Exit.INTERRUPTED
    assert "Traceback" not in err
    assert names(out / "one") == [".lock"]
    assert statuses(read(out)) == {"one": "pending"}
    assert statuses(rebuild(out)) == {"one": "pending"}


# Who else is there


def test_two_batches_do_not_share_a_directory(work: Path) -> None:
    with locked(work / "out" / ".lock"):
        before = digest(work / "out")
        done = command("batch", write_manifest(work, GOOD), "-o", work / "out")
        assert digest(work / "out") == before
        with pytest.raises(Undecided):
            rebuild(work / "out")
    assert done.returncode == Exit.UNDECIDED
    assert "is being written by process" in done.stderr


def test_a_directory_of_something_else_is_not_touched(models: Path, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "thesis.tex").write_text("years of work")
    done = command("batch", write_manifest(models, GOOD), "-o", tmp_path)
    assert done.returncode == Exit.USAGE
    assert "holds something else than a batch" in done.stderr
    assert digest(tmp_path).keys() == {"one/thesis.tex"}


def test_faults_are_all_told_and_nothing_runs(models: Path, tmp_path: Path) -> None:
    file = write_manifest(models, {"a": {"tuned": "none"}, "b": {"tuned": "tuned", "spede": 3}})
    done = command("batch", file, "-o", tmp_path / "out")
    assert done.returncode == Exit.USAGE
    assert "none does not exist" in done.stderr
    assert "no option spede" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


# Rebuilding


def test_an_overview_is_rebuilt_from_what_is_there(work: Path) -> None:
    out = work / "out"
    told = json.loads((out / "batch.json").read_text())
    for entry in told["jobs"]:  # as if it had been killed between a result and its entry
        entry.update(status="pending", exit_code=None, result=None, seconds=None, reason=None)
    (out / "batch.json").write_text(json.dumps(told))
    shutil.rmtree(out / "two")
    (out / "thin" / "inputs.json").write_text("{}")  # a result of something else
    done = command("report", out, "-f", "json")
    assert done.returncode == Exit.OK
    assert statuses(rebuild(out)) == {**dict.fromkeys(ALL, "pending"), "one": "done"}
    assert done.stdout == (out / "batch.json").read_text()


def test_a_full_disk_is_one_sentence(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("recover.report.render.write_text", full)
    with pytest.raises(Undecided, match=r"the disk is full: .* is not complete; free space and run again, to go on"):
        rebuild(work / "out")


def test_rebuilding_keeps_what_is_known(work: Path) -> None:
    before = statuses(read(work / "out"))
    (work / "out" / "batch.html").unlink()
    assert command("report", work / "out").stdout.startswith("**6 fine-tunes of aligned: 3 with a result")
    assert statuses(read(work / "out")) == before
    assert (work / "out" / "batch.html").is_file()


def test_what_is_no_batch_is_refused(tmp_path: Path) -> None:
    (tmp_path / "batch.json").write_text("{}")
    with pytest.raises(InputError, match="is no record of a batch"):
        check_batch_folder(tmp_path)
    assert command("report", tmp_path).returncode == Exit.USAGE
    assert names(tmp_path) == ["batch.json"]
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is no directory"):
        check_batch_folder(tmp_path / "file")


def test_workers_import_no_click(models: Path) -> None:
    code = "import sys; from recover.batch import local; sys.exit('click' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
