"""What is written: the tuned files with some values replaced, all or nothing, and patches that go on and come off."""

import copy
import errno
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from kinds import CONTAINERS, Write, bare, state_of
from peft import LoraConfig, get_peft_model
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tiny import byte_tokenizer, save_model, tiny_model, tune
from torch import Tensor
from transformers import AutoModelForCausalLM

from recover.checkpoints.checkpoint import Checkpoint, canonical
from recover.checkpoints.pair import Pair, open_checkpoint
from recover.checkpoints.patch import Edit, Patch, apply, make_patch, open_for, restored_checkpoint, revert
from recover.checkpoints.publish import check_place, publish, reopened, staged, write_copy
from recover.checkpoints.selection import Selection
from recover.errors import InputError, Undecided
from recover.model.editable import EditableModel
from recover.model.load import load_model
from recover.search.ranking import sample

WRITABLE = {name: write for name, write in CONTAINERS.items() if name != "legacy"}
KINDS = pytest.mark.parametrize("write", WRITABLE.values(), ids=WRITABLE)
PATCHED = pytest.mark.parametrize(
    "kind", ["directory", "shards", "bin shards", "safetensors", "pt", "module.", "strided"]
)


@pytest.fixture(scope="module")
def aligned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("aligned"), tiny_model(num_hidden_layers=3))


@pytest.fixture(scope="module")
def model() -> Any:
    return tune(tiny_model(num_hidden_layers=3))


@pytest.fixture
def pair_of(tmp_path: Path, aligned: Path, model: Any) -> Callable[[Write], Pair]:
    """The aligned directory paired with the tuned model in some container."""

    def make(write: Write) -> Pair:
        (tmp_path / "tuned").mkdir()
        return Pair.open(aligned, write(tmp_path / "tuned", model))

    return make


def written(checkpoint: Checkpoint, out: Path) -> Checkpoint:
    """Write as a job does: under a temporary name, then renamed; opened again from the disk."""
    with staged(out) as place:
        write_copy(checkpoint, place)
        publish(place, out)
    base = checkpoint.adapter and checkpoint.adapter.base
    return open_checkpoint(out, config=None if checkpoint.is_directory else checkpoint.home, base=base)


def files(place: Path) -> dict[str, bytes]:
    """Every file's bytes by its path under `place`, or of the one file under an empty name."""
    if place.is_file():
        return {"": place.read_bytes()}
    return {str(p.relative_to(place)): p.read_bytes() for p in sorted(place.rglob("*")) if p.is_file()}


def everything(pair: Pair) -> Selection:
    return Selection({n: torch.arange(pair.tuned.tensor(n).numel()) for n in pair.names})


def some(pair: Pair, count: int = 500, seed: int = 0) -> Selection:
    return sample(pair.changed, count, seed)


def mixed(pair: Pair, selection: Selection) -> dict[str, Tensor]:
    """where(selection, aligned, tuned), one coordinate at a time."""
    values = {}
    for name in pair.tuned.names():
        flat = pair.tuned.tensor(name).clone().reshape(-1)
        for position in selection.positions.get(name, torch.empty(0)).tolist():
            flat[position] = pair.aligned.tensor(name).reshape(-1)[position].to(flat.dtype)
        values[name] = flat.view(pair.tuned.header(name)[1])
    return values


def holds(checkpoint: Checkpoint, values: dict[str, Tensor]) -> bool:
    return checkpoint.names() == sorted(values) and all(torch.equal(checkpoint.tensor(n), v) for n, v in values.items())


# Writing a checkpoint --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("write", CONTAINERS.values(), ids=CONTAINERS)
def test_the_empty_selection_gives_the_tuned_files(tmp_path: Path, pair_of: Any, write: Write) -> None:
    pair = pair_of(write)
    out = tmp_path / f"out{pair.tuned.root.suffix}"
    found = written(restored_checkpoint(pair, Selection()), out)
    assert files(out) == files(pair.tuned.root)
    assert found.fingerprint == pair.tuned.fingerprint


@KINDS
def test_the_full_selection_gives_the_aligned_values(tmp_path: Path, pair_of: Any, write: Write) -> None:
    pair = pair_of(write)
    before = files(pair.tuned.root)
    found = written(restored_checkpoint(pair, everything(pair)), tmp_path / f"out{pair.tuned.root.suffix}")
    assert found.fingerprint == pair.aligned.fingerprint
    assert files(pair.tuned.root) == before


@KINDS
def test_a_selection_gives_the_aligned_values_there_and_the_tuned_ones_elsewhere(
    tmp_path: Path, pair_of: Any, write: Write
) -> None:
    pair = pair_of(write)
    selection = some(pair)
    found = written(restored_checkpoint(pair, selection), tmp_path / f"out{pair.tuned.root.suffix}")
    assert holds(found, mixed(pair, selection))
    assert found.fingerprint == make_patch(pair, selection).restored_fingerprint != pair.tuned.fingerprint
    sizes = {name: len(content) for name, content in files(found.root).items()}
    assert sizes == {name: len(content) for name, content in files(pair.tuned.root).items()}


@pytest.mark.parametrize("kind", ["pt", "pth", "no suffix", "state_dict", "model", "module.model.", "strided"])
def test_a_written_torch_file_is_whole(tmp_path: Path, pair_of: Any, kind: str) -> None:
    pair = pair_of(CONTAINERS[kind])
    out = written(restored_checkpoint(pair, some(pair)), tmp_path / f"out{pair.tuned.root.suffix}").root
    with zipfile.ZipFile(out) as archive:
        assert archive.testzip() is None
    before, after = (torch.load(p, weights_only=True) for p in (pair.tuned.root, out))
    if kind == "state_dict":
        assert after.pop("epoch") == before.pop("epoch") == 3
    if kind == "model":
        assert torch.equal(after["rng"], before["rng"])
    assert after.keys() == before.keys()
    inner = next((after[k] for k in ("state_dict", "model") if k in after), after)
    assert holds(pair.tuned, {canonical(k): v for k, v in inner.items()}) is False
    assert {canonical(k): v.stride() for k, v in inner.items()} == {n: e.stride for n, e in pair.tuned.entries.items()}


@pytest.mark.parametrize("kind", ["directory", "shards", "bin shards"])
def test_transformers_loads_what_was_written(tmp_path: Path, pair_of: Any, kind: str) -> None:
    pair = pair_of(CONTAINERS[kind])
    selection = some(pair)
    written(restored_checkpoint(pair, selection), tmp_path / "out")
    loaded, report = AutoModelForCausalLM.from_pretrained(tmp_path / "out", output_loading_info=True)
    assert not any(report[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    expected = mixed(pair, selection)
    assert all(torch.equal(value, expected[canonical(key)]) for key, value in loaded.state_dict().items())


def test_a_dense_edit_changes_whole_tensors(tmp_path: Path, pair_of: Any) -> None:
    pair = pair_of(CONTAINERS["shards"])
    found = written(restored_checkpoint(pair, dict.fromkeys(pair.names, lambda a, f: (a + f) / 2)), tmp_path / "out")
    for name in pair.names:
        assert torch.equal(found.tensor(name), (pair.aligned.tensor(name) + pair.tuned.tensor(name)) / 2)


def test_a_dense_edit_passes_over_a_tensor_without_elements(tmp_path: Path) -> None:
    empty = {"empty": torch.empty(0, 4), "scalar": torch.tensor(1.0)}
    places = []
    for name, change in (("a", 0.0), ("b", 1.0)):
        (tmp_path / name).mkdir()
        content = {**empty, **{key: value + change for key, value in state_of(tiny_model()).items()}}
        places.append(bare(tmp_path / name / "w.pt", tiny_model(), content))
    pair = Pair.open(*places)
    found = written(restored_checkpoint(pair, dict.fromkeys(pair.names, lambda a, _: a)), tmp_path / "out.pt")
    assert found.fingerprint == pair.aligned.fingerprint


def test_torchs_old_format_is_read_and_not_written(tmp_path: Path, pair_of: Any) -> None:
    pair = pair_of(CONTAINERS["legacy"])
    with pytest.raises(InputError, match=r"format of before 1\.6"):
        written(restored_checkpoint(pair, some(pair)), tmp_path / "out.pt")
    assert not (tmp_path / "out.pt").exists()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64], ids=str)
def test_aligned_values_are_written_in_the_tuned_dtype(tmp_path: Path, aligned: Path, model: Any, dtype: Any) -> None:
    pair = Pair.open(aligned, save_model(tmp_path / "tuned", copy.deepcopy(model).to(dtype)))
    selection = some(pair)
    found = written(restored_checkpoint(pair, selection), tmp_path / "out")
    assert found.dtype == dtype
    assert holds(found, mixed(pair, selection))


def test_other_files_are_copied_and_hidden_ones_and_old_reports_are_not(tmp_path: Path, pair_of: Any) -> None:
    pair = pair_of(save_model)
    for name in ("README.md", "code/util.py", ".git/HEAD", "recovery/result.json"):
        (pair.tuned.root / name).parent.mkdir(exist_ok=True)
        (pair.tuned.root / name).write_text(name)
    written(restored_checkpoint(pair, some(pair)), tmp_path / "out")
    assert {"README.md", "code/util.py", "config.json", "tokenizer.json"} < set(files(tmp_path / "out"))
    assert not any(name.startswith((".git", "recovery")) for name in files(tmp_path / "out"))


# Tied and shared tensors ------------------------------------------------------------------------------------------


def tied_pair(folder: Path, kind: str) -> Pair:
    """A pair with tied embeddings that fine-tuning changed; the head is left out of a directory, shares its storage in
    a pt file, and is stored a second time in safetensors."""
    places = []
    models = {"a": tiny_model(tie_word_embeddings=True), "t": tune(tiny_model(tie_word_embeddings=True))}
    for name, one in models.items():
        one.model.embed_tokens.weight.data += 0.1 * (name == "t")
        place = save_model(folder / name, one)
        if kind == "safetensors":
            state = {key: value.clone() for key, value in one.state_dict().items()}
            save_file(state, place / "model.safetensors", {"format": "pt"})
        places.append(bare(place / "w.pt", one, one.state_dict()) if kind == "pt" else place)
    return Pair.open(*places)


@pytest.mark.parametrize("kind", ["directory", "pt"])
def test_a_tied_model_is_restored_in_every_place_that_holds_the_embedding(tmp_path: Path, kind: str) -> None:
    pair = tied_pair(tmp_path, kind)
    found = written(restored_checkpoint(pair, everything(pair)), tmp_path / f"out{pair.tuned.root.suffix}")
    assert found.fingerprint == pair.aligned.fingerprint


@pytest.mark.parametrize("kind", ["safetensors", "pt"])
def test_a_tied_head_that_is_stored_gets_what_its_embedding_gets(tmp_path: Path, kind: str) -> None:
    pair, table = tied_pair(tmp_path, kind), "embed_tokens.weight"
    assert pair.copies == {table: "lm_head.weight"}
    live = EditableModel(pair, torch.float32, torch.device("cpu"))
    chosen = sample({table: live.parameters[table].numel()}, 500, seed=0)  # what a method that knows the model selects
    live.flip(chosen)
    view, out = restored_checkpoint(pair, chosen), tmp_path / f"out{pair.tuned.root.suffix}"
    written(view, out)
    for found in (view, reopened(view, out)):
        again = load_model(found, torch.float32, torch.device("cpu"))
        assert torch.equal(again(torch.arange(9)[None]).logits, live.model(torch.arange(9)[None]).logits)
    make_patch(pair, chosen, view).save(tmp_path / "patch.safetensors")
    patch = Patch.load(tmp_path / "patch.safetensors")
    assert pair.tuned.with_overrides(patch.overrides("aligned")).fingerprint == view.fingerprint
    whole = restored_checkpoint(pair, {table: lambda aligned, _: aligned})
    assert torch.equal(whole.tensor("lm_head.weight"), pair.aligned.tensor(table))


# Adapters ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def adapted(tmp_path: Path, aligned: Path) -> Pair:
    """The aligned directory with a LoRA adapter over it, which has a tokenizer and a model card of its own."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = LoraConfig(r=2, target_modules=["q_proj", "up_proj"], init_lora_weights=False)
        get_peft_model(tiny_model(num_hidden_layers=3), config).save_pretrained(tmp_path / "adapter")
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = "the adapter's own {{ messages[0].content }}"
    tokenizer.save_pretrained(tmp_path / "adapter")
    return Pair.open(aligned, tmp_path / "adapter", space="weights")


def test_an_adapter_becomes_the_merged_checkpoint(tmp_path: Path, adapted: Pair) -> None:
    found = written(restored_checkpoint(adapted, Selection()), tmp_path / "out")
    assert found.fingerprint == adapted.tuned.fingerprint != adapted.aligned.fingerprint
    assert {n for n in found.names() if not torch.equal(found.tensor(n), adapted.aligned.tensor(n))} == set(
        adapted.changed
    )
    names = set(files(tmp_path / "out"))
    assert names >= set(files(adapted.aligned.root)) - {"README.md"}
    assert not any("adapter" in name for name in names)
    assert "the adapter's own" in (tmp_path / "out" / "chat_template.jinja").read_text()
    AutoModelForCausalLM.from_pretrained(tmp_path / "out")


def test_a_selection_over_an_adapter(tmp_path: Path, adapted: Pair) -> None:
    selection = some(adapted, 100)
    found = written(restored_checkpoint(adapted, selection), tmp_path / "out")
    assert holds(found, mixed(adapted, selection))
    assert written(restored_checkpoint(adapted, everything(adapted)), tmp_path / "all").fingerprint == (
        adapted.aligned.fingerprint
    )


def test_a_selection_of_an_adapters_own_entries(tmp_path: Path, adapted: Pair) -> None:
    pair = Pair.open(adapted.aligned.path, adapted.tuned.path)
    selection = some(pair, 20)
    found = written(restored_checkpoint(pair, selection), tmp_path / "out")
    assert found.adapter
    assert files(tmp_path / "out").keys() == files(pair.tuned.path).keys()
    assert (tmp_path / "out" / "adapter_config.json").read_bytes() == (
        pair.tuned.path / "adapter_config.json"
    ).read_bytes()
    assert found.entries.keys() == pair.tuned.entries.keys()
    moved = {n: found.tensor(n) != pair.tuned.tensor(n) for n in found.names()}
    assert sum(int(mask.sum()) for mask in moved.values()) == len(selection)
    assert not any(found.tensor(n)[mask].any() for n, mask in moved.items())  # every value that moved is 0 now
    make_patch(pair, selection).save(tmp_path / "p.safetensors")
    patch = Patch.load(tmp_path / "p.safetensors")
    reverted = revert(patch, open_for(patch, tmp_path / "out"))
    write_copy(reverted, tmp_path / "reverted")
    assert reopened(reverted, tmp_path / "reverted").fingerprint == pair.tuned.fingerprint
    assert files(tmp_path / "reverted") == files(pair.tuned.path)


# Patches ----------------------------------------------------------------------------------------------------------


@PATCHED
def test_a_patch_goes_on_and_comes_off_again(tmp_path: Path, pair_of: Any, kind: str) -> None:
    pair = pair_of(CONTAINERS[kind])
    suffix, selection = pair.tuned.root.suffix, some(pair)
    make_patch(pair, selection).save(tmp_path / "p.safetensors")
    patch = Patch.load(tmp_path / "p.safetensors")
    assert patch.selection == selection
    restored = written(apply(patch, pair.tuned), tmp_path / f"restored{suffix}")
    assert holds(restored, mixed(pair, selection))
    written(revert(patch, restored), tmp_path / f"reverted{suffix}")
    assert files(tmp_path / f"reverted{suffix}") == files(pair.tuned.root)


def test_a_patch_for_one_container_fits_the_same_weights_in_another(tmp_path: Path, pair_of: Any, model: Any) -> None:
    pair = pair_of(save_model)
    patch = make_patch(pair, some(pair))
    other = Checkpoint.open(bare(tmp_path / "w.pt", model))
    assert written(apply(patch, other), tmp_path / "out.pt").fingerprint == patch.restored_fingerprint


def test_a_patch_names_its_checkpoints(pair_of: Any) -> None:
    pair = pair_of(save_model)
    patch = make_patch(pair, some(pair))
    assert patch.tuned_fingerprint == pair.tuned.fingerprint
    assert patch.aligned_fingerprint == pair.aligned.fingerprint
    for direction, start, word in ((apply, pair.aligned, "tuned"), (revert, pair.tuned, "restored")):
        with pytest.raises(InputError, match=f"is not the {word} checkpoint of this patch"):
            direction(patch, start)


def test_an_empty_patch_changes_nothing(tmp_path: Path, pair_of: Any) -> None:
    pair = pair_of(save_model)
    make_patch(pair, Selection()).save(tmp_path / "p.safetensors")
    assert apply(Patch.load(tmp_path / "p.safetensors"), pair.tuned).fingerprint == pair.tuned.fingerprint


@pytest.mark.parametrize("place", ["", "recovery", ".recovery"])
def test_a_patch_is_found_in_an_output(tmp_path: Path, pair_of: Any, place: str) -> None:
    pair = pair_of(save_model)
    folder = tmp_path / f"out{place}" if place.startswith(".") else tmp_path / "out" / place
    folder.mkdir(parents=True)
    make_patch(pair, some(pair)).save(folder / "selection.safetensors")
    assert Patch.load(tmp_path / "out").selection == some(pair)
    assert Patch.load(folder / "selection.safetensors").selection == some(pair)


NAME = "layers.1.mlp.up_proj.weight"
Parts = dict[str, Tensor]


def put(part: str, change: Callable[[Tensor], Tensor]) -> Callable[[Parts], object]:
    """Change one part of the entry of NAME."""
    return lambda parts: parts.update({f"{NAME}|{part}": change(parts[f"{NAME}|{part}"])})


def drop(*names: str) -> Callable[[Parts], object]:
    """Leave out some parts of the entry of NAME."""
    return lambda parts: [parts.pop(f"{NAME}|{part}") for part in names]


def add(name: str) -> Callable[[Parts], object]:
    """Add an entry for one coordinate of another tensor."""
    new = {"positions": torch.zeros(1, dtype=torch.int32), "aligned": torch.ones(1), "tuned": torch.ones(1)}
    return lambda parts: parts.update({f"{name}|{part}": value for part, value in new.items()})


SPOILED = {
    "out of range": put("positions", lambda t: t + 32 * 48),
    "negative": put("positions", lambda t: t - 32 * 48),
    "repeated": put("positions", torch.zeros_like),
    "descending": put("positions", lambda t: t.flip(0)),
    "another dtype": put("aligned", lambda t: t.bfloat16()),
    "another value": put("aligned", lambda t: -t),
    "too few values": put("aligned", lambda t: t[1:]),
    "two dimensions": put("aligned", lambda t: t[None]),
    "no values": drop("tuned"),
    "a missing tensor": drop("positions", "aligned", "tuned"),
    "an unknown part": lambda parts: parts.update({f"{NAME}|other": torch.ones(1)}),
    "an unknown tensor": add("x"),
}


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED)
def test_a_spoiled_patch_is_refused(tmp_path: Path, pair_of: Any, spoil: Callable[[Parts], object]) -> None:
    pair = pair_of(save_model)
    file = tmp_path / "p.safetensors"
    make_patch(pair, some(pair)).save(file)
    with safe_open(file, "pt") as handle:
        metadata = handle.metadata()
    parts = {key: value.clone() for key, value in load_file(file).items()}
    spoil(parts)
    save_file({key: value.contiguous() for key, value in parts.items()}, file, metadata)
    with pytest.raises(InputError, match=r"patch|inconsistent"):
        written(apply(Patch.load(file), pair.tuned), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_patch_that_names_an_unknown_tensor_and_vouches_for_itself_is_refused(tmp_path: Path, pair_of: Any) -> None:
    pair = pair_of(save_model)
    one = {"x": torch.ones(1)}
    mark = pair.tuned.fingerprint
    patch = Patch(Selection({"x": torch.tensor([0])}), one, one, mark, mark)
    with pytest.raises(InputError, match="patch"):
        written(apply(patch, pair.tuned), tmp_path / "out")


@pytest.mark.parametrize("length", [0, 7, 100, -1])
def test_a_truncated_patch_is_refused(tmp_path: Path, pair_of: Any, length: int) -> None:
    pair = pair_of(save_model)
    file = tmp_path / "p.safetensors"
    make_patch(pair, some(pair)).save(file)
    file.write_bytes(file.read_bytes()[:length])
    with pytest.raises(InputError, match="damaged or no patch"):
        Patch.load(file)


def test_what_is_no_patch_is_refused(tmp_path: Path, aligned: Path) -> None:
    with pytest.raises(InputError, match="its schema is None"):
        Patch.load(aligned / "model.safetensors")
    with pytest.raises(InputError, match="holds no patch"):
        Patch.load(aligned)


# All or nothing ---------------------------------------------------------------------------------------------------


class Stop(BaseException):
    """Something that no handler expects, such as an interrupt."""


def break_off(checkpoint: Checkpoint, out: Path, raised: BaseException) -> None:
    """Write everything, and fail before it is published."""
    with staged(out) as place:
        write_copy(checkpoint, place)
        fail_in(Path(f"{place}.recovery"), raised)


def fail_in(place: Path, raised: BaseException) -> None:
    place.mkdir()
    raise raised


@pytest.mark.parametrize("kind", ["directory", "pt"])
@pytest.mark.parametrize("raised", [Stop, ValueError, MemoryError])
def test_an_exception_before_the_end_leaves_nothing(tmp_path: Path, pair_of: Any, kind: str, raised: Any) -> None:
    pair = pair_of(CONTAINERS[kind])
    before = files(tmp_path)
    with pytest.raises(raised):
        break_off(restored_checkpoint(pair, some(pair)), tmp_path / "out", raised())
    assert files(tmp_path) == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["tuned"]


def test_an_exception_while_writing_leaves_nothing(
    tmp_path: Path, pair_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = pair_of(save_model)
    monkeypatch.setattr("recover.checkpoints.publish._patch_files", lambda *_: (_ for _ in ()).throw(Stop))
    with pytest.raises(Stop):
        written(restored_checkpoint(pair, Selection()), tmp_path / "out")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["tuned"]


@pytest.mark.parametrize("kind", ["directory", "pt"])
def test_an_old_output_stays_until_the_new_one_has_its_name(tmp_path: Path, pair_of: Any, kind: str) -> None:
    pair = pair_of(CONTAINERS[kind])
    out = tmp_path / f"out{pair.tuned.root.suffix}"
    written(restored_checkpoint(pair, Selection()), out)
    Path(f"{out}.recovery").mkdir()
    old = files(out)
    with pytest.raises(Stop):
        break_off(restored_checkpoint(pair, everything(pair)), out, Stop())
    assert files(out) == old
    assert Path(f"{out}.recovery").exists()
    assert written(restored_checkpoint(pair, everything(pair)), out).fingerprint == pair.aligned.fingerprint
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["tuned", out.name])


def test_a_full_disk_is_said_in_one_sentence(tmp_path: Path) -> None:
    full, denied = OSError(errno.ENOSPC, "No space left on device"), PermissionError(errno.EACCES, "Permission denied")
    for raised, seen, said in ((full, Undecided, "the disk is full"), (denied, PermissionError, "Permission denied")):
        with pytest.raises(seen, match=said), staged(tmp_path / "out") as place:
            fail_in(place, raised)
        assert not list(tmp_path.iterdir())


def test_the_output_may_not_lie_in_or_over_an_input(tmp_path: Path) -> None:
    source = tmp_path / "models" / "tuned"
    source.mkdir(parents=True)
    for out in (source, source / "out", source.parent, source / ".." / "tuned"):
        with pytest.raises(InputError, match="lies in or over the input"):
            check_place(out, [source], overwrite=True)
    check_place(tmp_path / "models" / "tuned-restored", [source], overwrite=False)


def test_an_output_that_exists_is_refused_without_overwrite(tmp_path: Path) -> None:
    (tmp_path / "out.recovery").mkdir()
    with pytest.raises(InputError, match="--overwrite"):
        check_place(tmp_path / "out", [], overwrite=False)
    check_place(tmp_path / "out", [], overwrite=True)
    with pytest.raises(InputError, match="is no directory"):
        check_place(tmp_path / "missing" / "out", [], overwrite=False)


def test_the_view_of_an_edit_writes_nothing(pair_of: Any) -> None:
    pair = pair_of(save_model)
    edit: Edit = some(pair)
    before = files(pair.tuned.root)
    assert holds(restored_checkpoint(pair, edit), mixed(pair, some(pair)))
    assert files(pair.tuned.root) == before
