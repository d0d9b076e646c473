"""Files are copied whole, never written over, and what a killed run leaves is settled by the next one."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import kills
import pytest
import torch
from cli_pairs import run
from safetensors.torch import load_file
from tiny import save_model, tiny_model, tune

from recover.checkpoints import files
from recover.checkpoints.checkpoint import Checkpoint, raw_bytes
from recover.checkpoints.pair import Pair
from recover.checkpoints.patch import make_patch
from recover.checkpoints.publish import check_place, publish, reopened, staged, write_copy
from recover.checkpoints.selection import Selection
from recover.errors import InputError, Undecided
from recover.jobs import restore
from recover.jobs.request import Job
from recover.results.schema import Restoration
from recover.search.loop import Recovery
from recover.search.methods import Check
from recover.search.ranking import sample

DEAD = 2**22 + 1  # above every process id that Linux gives


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("shards"), tiny_model(num_hidden_layers=3), max_shard_size="40KB")


def changed(checkpoint: Checkpoint, name: str = "layers.1.mlp.up_proj.weight") -> Checkpoint:
    return checkpoint.with_overrides({name: lambda t: t + 1})


def recovery(pair: Pair, selection: Selection) -> Recovery:
    """What a run would have found, nothing of it measured."""
    account = Restoration(method="random", restored=None, weights=pair.tuned.weights, fraction=None, stopped="")
    return Recovery(pair, selection, account, Check(harmful=None, target=0.0))


# Copies -----------------------------------------------------------------------------------------------------------


def unable(*_: object) -> int:
    raise OSError("not on this file system")


def idle(*_: object) -> int:
    return 0


@pytest.mark.parametrize("way", [None, unable, idle])
@pytest.mark.parametrize("size", [0, 1, 3_000_001])
def test_a_copy_has_every_byte_whatever_the_kernel_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: Any, size: int
) -> None:
    if way is not None:
        monkeypatch.setattr("os.copy_file_range", way)
    (tmp_path / "a").write_bytes(os.urandom(size))
    (tmp_path / "a").chmod(0o444)
    (tmp_path / "link").symlink_to(tmp_path / "a")
    files.copy(tmp_path / "link", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == (tmp_path / "a").read_bytes()
    assert not (tmp_path / "b").is_symlink()
    (tmp_path / "b").write_bytes(b"a copy can be written")


def test_the_kernel_copies_in_as_many_calls_as_it_likes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, sizes = os.copy_file_range, []

    def little(start: int, end: int, count: int) -> int:
        sizes.append(whole(start, end, min(count, 1000)))
        return sizes[-1]

    monkeypatch.setattr("os.copy_file_range", little)
    monkeypatch.setattr("shutil.copyfile", lambda *_: pytest.fail("the bytes came into this process"))
    (tmp_path / "a").write_bytes(os.urandom(2500))
    files.copy(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == (tmp_path / "a").read_bytes()
    assert sizes == [1000, 1000, 500]


def test_a_copy_of_a_file_that_shrinks_meanwhile_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = os.copy_file_range

    def shrinking(start: int, end: int, count: int) -> int:
        os.truncate(tmp_path / "a", 10)
        return whole(start, end, count)

    monkeypatch.setattr("os.copy_file_range", shrinking)
    (tmp_path / "a").write_bytes(bytes(1000))
    with pytest.raises(Undecided, match=r"a changed while it was copied; let nothing write to it"):
        files.copy(tmp_path / "a", tmp_path / "b")


@pytest.mark.parametrize("bring", [files.copy, files.link_or_copy])
def test_a_file_that_is_there_is_never_written_over(tmp_path: Path, bring: Any) -> None:
    (tmp_path / "a").write_bytes(b"a")
    (tmp_path / "b").write_bytes(b"b")
    with pytest.raises(FileExistsError):
        bring(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == b"b"


def test_a_snapshot_of_links_is_copied_and_its_blobs_stay(tmp_path: Path, shards: Path) -> None:
    """A hub cache: every file is a link into a store that other snapshots share."""
    (tmp_path / "blobs").mkdir()
    (tmp_path / "snapshot").mkdir()
    for number, file in enumerate(sorted(shards.iterdir())):
        shutil.copyfile(file, tmp_path / "blobs" / str(number))
        (tmp_path / "snapshot" / file.name).symlink_to(Path("..") / "blobs" / str(number))
    before = contents(tmp_path / "blobs")
    start = Checkpoint.open(tmp_path / "snapshot")
    for link in (False, True):
        out = tmp_path / f"out{link}"
        write_copy(changed(start), out, link=link)
        assert reopened(changed(start), out).fingerprint == changed(start).fingerprint != start.fingerprint
        assert not any(path.is_symlink() for path in out.iterdir())
    assert contents(tmp_path / "blobs") == before


def test_links_are_made_of_unchanged_weight_files_only(tmp_path: Path, shards: Path) -> None:
    start = Checkpoint.open(shards)
    view = changed(start)
    patched = view.entries["layers.1.mlp.up_proj.weight"].file
    before = contents(shards)
    write_copy(view, tmp_path / "out", link=True)
    for file in shards.iterdir():
        shared = file in start.files and file != patched
        assert (tmp_path / "out" / file.name).samefile(file) == shared, file.name
    assert contents(shards) == before
    write_copy(view, tmp_path / "plain")
    assert contents(tmp_path / "plain") == contents(tmp_path / "out")
    assert not any((tmp_path / "plain" / f.name).samefile(f) for f in shards.iterdir())


@pytest.mark.parametrize("verb", ["apply", "restore"])
def test_the_option_reaches_the_files(tmp_path: Path, shards: Path, verb: str) -> None:
    tuned = save_model(tmp_path / "tuned", tune(tiny_model(num_hidden_layers=3)), max_shard_size="40KB")
    pair = Pair.open(shards, tuned)
    selection = Selection({"layers.1.mlp.up_proj.weight": torch.arange(9)})
    if verb == "apply":
        make_patch(pair, selection).save(tmp_path / "p.safetensors")
        assert run("apply", tmp_path / "p.safetensors", tuned, "-o", tmp_path / "out", "--link") == 0
    else:
        restore._write(Job(aligned="a", tuned="t", link=True), recovery(pair, selection), tmp_path / "out")
    shared = [file for file in pair.tuned.files if file.samefile(tmp_path / "out" / file.name)]
    assert len(shared) == len(pair.tuned.files) - 1 > 2


def test_where_no_link_can_be_made_a_copy_is(tmp_path: Path, shards: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.link", unable)
    write_copy(Checkpoint.open(shards), tmp_path / "out", link=True)
    assert contents(tmp_path / "out") == contents(shards)


def test_what_was_written_is_held_against_what_was_meant(tmp_path: Path, shards: Path) -> None:
    view = changed(Checkpoint.open(shards))
    write_copy(view, tmp_path / "out")
    assert reopened(view, tmp_path / "out").files[0].parent == tmp_path / "out"
    entry = Checkpoint.open(tmp_path / "out").entries["norm.weight"]
    with entry.file.open("r+b") as handle:
        handle.seek(entry.offset)
        handle.write(b"\xff")
    with pytest.raises(Undecided, match="do not hold the expected weights"):
        reopened(view, tmp_path / "out")


def test_every_file_and_folder_is_flushed_before_the_first_rename(
    tmp_path: Path, shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[Path] = []
    rename = Path.rename

    def watched(start: Path, end: Path) -> Path:
        staged = {start, *start.rglob("*")}
        assert staged == set(flushed)
        assert all(flushed.index(p) < flushed.index(p.parent) for p in staged - {start})
        flushed.clear()
        return rename(start, end)

    flush = files.flush
    monkeypatch.setattr("recover.checkpoints.files.flush", lambda path: (flushed.append(path), flush(path)))
    monkeypatch.setattr("pathlib.Path.rename", watched)
    with staged(tmp_path / "out") as place:
        write_copy(Checkpoint.open(shards), place)
        (place / "recovery" / "answers").mkdir(parents=True)
        (place / "recovery" / "answers" / "a.jsonl").touch()
        publish(place, tmp_path / "out")
    assert flushed == [tmp_path]


# Killed runs -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("over_old", [False, True], ids=["fresh", "over an old one"])
@pytest.mark.parametrize("save", [kills.save_shards, kills.save_one], ids=["directory", "file"])
def test_a_killed_write_leaves_nothing_wrong(tmp_path: Path, save: Any, over_old: bool) -> None:
    """Killed at every call in turn, and at 50 random moments in all four cases together, by pairs."""
    source = save(tmp_path / "source")
    place = tmp_path / "place"
    place.mkdir()
    out = place / f"out{source.suffix}"
    before = contents(tmp_path / "source")
    rows = kills.run(source, out, over_old, 13)
    allowed = ["old", "new"] if over_old else ["absent", "new"]
    for row in rows:
        (left, told), (weights, mark) = row["left"], row["settled"]
        assert left in (*allowed, "absent"), row
        assert told in (left, "absent") or left == "absent", row  # no result beside weights of another run
        assert weights in allowed, row
        assert mark == weights or (mark, source.is_dir(), over_old) == ("absent", False, False), row
        assert {*row["names"]} <= {out.name, f"{out.name}.recovery"}, row
    seen = {row["settled"][0] for row in rows}
    assert seen == {*allowed}  # the kills came before and after the moment that decides
    assert contents(tmp_path / "source") == before


def leave(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).mkdir()
        (folder / name / "content").write_text(name)


def test_a_dead_runs_files_are_removed_and_a_living_ones_stay(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as living:
        kept = ["out", f"out.tmp-{living.pid}", f"out.old-{living.pid}", "out.tmp-x", "outer.tmp-1", "out.tmp-1.other"]
        leave(tmp_path, *kept, f"out.tmp-{DEAD}", f"out.tmp-{DEAD}.recovery")
        leave(tmp_path, f"out.old-{DEAD + 1}", f"out.old-{DEAD + 1}.recovery")
        leave(tmp_path, f"out.tmp-{os.getpid()}")  # an earlier process's: ids come again, in containers soon
        check_place(tmp_path / "out", [], overwrite=True)
        assert sorted(p.name for p in tmp_path.iterdir()) == sorted(kept)
        living.communicate(b"\n")


@pytest.mark.parametrize("reports", [None, "out.recovery", f"out.old-{DEAD}.recovery"])
def test_an_old_output_without_its_new_one_returns(tmp_path: Path, reports: str | None) -> None:
    """As after a kill between two renames, if somebody then removed what had the temporary name."""
    leave(tmp_path, f"out.old-{DEAD}", *([reports] if reports else []))
    with pytest.raises(InputError, match="out exists; pass --overwrite"):
        check_place(tmp_path / "out", [], overwrite=False)
    expected = {"out/content": f"out.old-{DEAD}".encode()}
    assert contents(tmp_path) == expected | ({"out.recovery/content": reports.encode()} if reports else {})


def test_reports_that_replaced_an_old_output_stay_without_it(tmp_path: Path) -> None:
    """A model under its floor is left out: only its reports come."""
    leave(tmp_path, "out.recovery", f"out.old-{DEAD}", f"out.old-{DEAD}.recovery")
    check_place(tmp_path / "out", [], overwrite=True)
    assert contents(tmp_path) == {"out.recovery/content": b"out.recovery"}


def test_an_output_that_somebody_else_put_there_meanwhile_is_kept(tmp_path: Path) -> None:
    leave(tmp_path, "out", f"out.old-{DEAD}", f"out.tmp-{DEAD}")
    before = contents(tmp_path)
    check_place(tmp_path / "out", [], overwrite=True)
    assert contents(tmp_path) == before


def test_what_a_killed_run_left_may_be_an_input(tmp_path: Path) -> None:
    leave(tmp_path, "out", f"out.old-{DEAD}")
    check_place(tmp_path / "out", [tmp_path / f"out.old-{DEAD}"], overwrite=True)
    assert (tmp_path / f"out.old-{DEAD}" / "content").exists()


def test_the_names_of_another_output_are_left_alone(tmp_path: Path) -> None:
    leave(tmp_path, f"a.b.tmp-{DEAD}", f"axb.old-{DEAD}")
    check_place(tmp_path / "a.b", [], overwrite=True)
    assert [p.name for p in tmp_path.iterdir()] == [f"axb.old-{DEAD}"]


@pytest.mark.parametrize("place", ["out/recovery", "out", "out.recovery"])
def test_a_file_is_found_wherever_an_output_keeps_it(tmp_path: Path, place: str) -> None:
    assert files.in_output(tmp_path / "out", "result.json") is None
    (tmp_path / place).mkdir(parents=True)
    (tmp_path / place / "result.json").touch()
    assert files.in_output(tmp_path / "out", "result.json") == tmp_path / place / "result.json"


def test_a_written_checkpoint_equals_the_librarys(tmp_path: Path, shards: Path) -> None:
    view = changed(Checkpoint.open(shards))
    write_copy(view, tmp_path / "out")
    entry = view.entries["layers.1.mlp.up_proj.weight"]
    found = load_file(tmp_path / "out" / entry.file.name)
    assert torch.equal(found.pop(entry.key), load_file(entry.file)[entry.key] + 1)
    assert all(torch.equal(value, load_file(entry.file)[key]) for key, value in found.items())


# The whole of a job's writing ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("form", "files_read", "views"), [("both", 3, 1), ("checkpoint", 2, 0), ("patch", 2, 2)])
def test_a_job_hashes_every_file_once(
    tmp_path: Path, llama: list[Path], monkeypatch: pytest.MonkeyPatch, form: str, files_read: int, views: int
) -> None:
    """Aligned (for a patch), tuned and what was written; of a view, only tensors that the selection touches. A patch is
    read again and put on, which makes a second view; without one, no touched tensor is hashed as tuned has it."""
    hashed: list[int] = []

    def watched(tensor: torch.Tensor) -> memoryview:
        hashed.append(tensor.numel())
        return raw_bytes(tensor)

    pair = Pair.open(*llama)
    selection = sample(pair.changed, 300, seed=0)
    touched = sum(pair.tuned.tensor(name).numel() for name in selection.positions)
    found = recovery(pair, selection)
    monkeypatch.setattr("recover.checkpoints.checkpoint.raw_bytes", watched)
    asked = Job(aligned="a", tuned="t", format=form)
    restore._write(asked, found, tmp_path / "out")
    restored = restore._reopen(asked, found, tmp_path / "out")
    assert sum(hashed) == files_read * pair.tuned.weights + views * touched
    assert restored.fingerprint == found.checkpoint.fingerprint
