"""Every container gives the same tensors under the same names, and reading never changes a file."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from kinds import CONTAINERS, Write, bare, state_of
from safetensors.torch import load_file, save_file
from tiny import save_model, tiny_model
from torch import Tensor

from recover.checkpoints.checkpoint import COMPARED_BYTES, Checkpoint, canonical, is_finite, raw_bytes, same_bits
from recover.checkpoints.pair import open_checkpoint
from recover.errors import InputError


@pytest.fixture(scope="module")
def model() -> Any:
    return tiny_model("llama", num_hidden_layers=3)


@pytest.fixture(scope="module")
def plain(model: Any, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return Checkpoint.open(save_model(tmp_path_factory.mktemp("plain"), model))


@pytest.mark.parametrize("write", CONTAINERS.values(), ids=CONTAINERS)
def test_every_container_gives_the_same_checkpoint(tmp_path: Path, model: Any, plain: Checkpoint, write: Write) -> None:
    found = Checkpoint.open(write(tmp_path, model))
    expected = {canonical(key): value for key, value in state_of(model).items()}
    assert found.names() == sorted(expected)
    for name, value in expected.items():
        assert found.header(name) == (value.dtype, tuple(value.shape))
        assert torch.equal(found.tensor(name), value)
    assert found.fingerprint == plain.fingerprint
    assert (found.weights, found.dtype) == (sum(v.numel() for v in expected.values()), torch.float32)


def test_a_model_in_shards_has_several_files(tmp_path: Path, model: Any) -> None:
    found = Checkpoint.open(CONTAINERS["shards"](tmp_path, model))
    assert len(found.files) > 2
    assert found.is_directory


def test_one_file_beside_the_shards_of_another_model_is_refused(tmp_path: Path, model: Any) -> None:
    place = CONTAINERS["shards"](tmp_path, model)
    shutil.copy(next(place.glob("*-of-*.safetensors")), place / "model.safetensors")
    with pytest.raises(InputError, match=r"holds model\.safetensors and the shards of model\.safetensors\.index\.json"):
        Checkpoint.open(place)


@pytest.mark.parametrize("change", ["value", "name", "shape", "dtype"])
def test_the_fingerprint_sees_every_change(tmp_path: Path, model: Any, plain: Checkpoint, change: str) -> None:
    state = state_of(model)
    vector = state["model.norm.weight"]
    match change:
        case "value":
            vector[3] = torch.nextafter(vector[3], torch.tensor(9.0))
        case "name":
            state["model.normal.weight"] = state.pop("model.norm.weight")
        case "shape":
            state["model.norm.weight"] = vector.view(4, -1)
        case _:
            state["model.norm.weight"] = vector.view(torch.int32)
    assert Checkpoint.open(bare(tmp_path / "w.pt", model, state)).fingerprint != plain.fingerprint


@pytest.mark.parametrize("kind", ["directory", "safetensors", "pt", "strided"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_every_float_dtype_is_read_as_it_is(tmp_path: Path, kind: str, dtype: torch.dtype) -> None:
    model = tiny_model().to(dtype)
    found = Checkpoint.open(CONTAINERS[kind](tmp_path, model))
    assert found.dtype == dtype
    assert all(torch.equal(found.tensor(canonical(key)), value) for key, value in state_of(model).items())


def test_tensors_that_a_container_does_not_align_are_read(tmp_path: Path, model: Any) -> None:
    model.config.save_pretrained(tmp_path)
    state = state_of(model)
    save_file(state, tmp_path / "model.safetensors")
    raw = (tmp_path / "model.safetensors").read_bytes()
    length = int.from_bytes(raw[:8], "little")
    for pad in range(4):  # the format lets a writer pad the header by any number of spaces
        (tmp_path / "model.safetensors").write_bytes(
            (length + pad).to_bytes(8, "little") + raw[8 : 8 + length] + b" " * pad + raw[8 + length :]
        )
        found = Checkpoint.open(tmp_path)
        assert all(torch.equal(found.tensor(canonical(key)), value) for key, value in state.items())


def test_a_tensor_without_elements_and_one_without_dimensions_are_read(tmp_path: Path, model: Any) -> None:
    state = {**state_of(model), "empty": torch.empty(0, 4), "scalar": torch.tensor(2.5)}
    found = Checkpoint.open(bare(tmp_path / "w.pt", model, state))
    assert found.tensor("empty").shape == (0, 4)
    assert float(found.tensor("scalar")) == 2.5
    assert found.fingerprint == Checkpoint.open(tmp_path / "w.pt").fingerprint


def test_writing_to_a_tensor_that_was_read_does_not_reach_the_file(tmp_path: Path, model: Any) -> None:
    file = CONTAINERS["safetensors"](tmp_path, model)
    before = file.read_bytes()
    Checkpoint.open(file).tensor("norm.weight").fill_(7.0)
    assert file.read_bytes() == before


def test_opening_reads_no_weight(tmp_path: Path, model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    place = CONTAINERS["shards"](tmp_path, model)
    monkeypatch.setattr(Checkpoint, "tensor", lambda _, name: pytest.fail(f"{name} was read"))
    assert Checkpoint.open(place).weights > 30_000


def test_overrides_apply_in_turn(plain: Checkpoint) -> None:
    twice = plain.with_overrides({"norm.weight": lambda t: t + 1}).with_overrides({"norm.weight": lambda t: t * 2})
    assert torch.equal(twice.tensor("norm.weight"), (plain.tensor("norm.weight") + 1) * 2)
    assert torch.equal(twice.tensor("lm_head.weight"), plain.tensor("lm_head.weight"))
    assert twice.fingerprint != plain.fingerprint


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("module.model.layers.0.x", "layers.0.x"),
        ("transformer.h.1.attn.bias", "h.1.attn.bias"),
        ("base_model.model.model.norm.weight", "norm.weight"),
        ("model", "model"),
        ("layers.0.model.x", "layers.0.model.x"),
    ],
)
def test_canonical_names(key: str, name: str) -> None:
    assert canonical(key) == name
    assert canonical(name) == name


def test_keys_that_would_share_a_name_keep_their_own(tmp_path: Path, model: Any) -> None:
    found = Checkpoint.open(bare(tmp_path / "w.pt", model, {"model.x": torch.ones(2), "x": torch.zeros(2)}))
    assert found.names() == ["model.x", "x"]
    assert float(found.tensor("model.x").sum()) == 2.0


def test_the_configuration_of_a_bare_file_may_lie_elsewhere(tmp_path: Path, model: Any, plain: Checkpoint) -> None:
    (tmp_path / "alone").mkdir()
    torch.save(state_of(model), tmp_path / "alone" / "w.pt")
    with pytest.raises(InputError, match="--config"):
        open_checkpoint(tmp_path / "alone" / "w.pt")
    found = Checkpoint.open(tmp_path / "alone" / "w.pt", config=plain.home)
    assert (found.home, found.fingerprint) == (plain.home, plain.fingerprint)


def test_a_lone_safetensors_file_of_any_name_is_a_directorys_model(tmp_path: Path, plain: Checkpoint) -> None:
    shutil.copytree(plain.root, tmp_path / "copy")
    (tmp_path / "copy" / "model.safetensors").rename(tmp_path / "copy" / "weights.safetensors")
    assert open_checkpoint(tmp_path / "copy").fingerprint == plain.fingerprint


@pytest.mark.parametrize("pad", [*range(10), COMPARED_BYTES, 2 * COMPARED_BYTES + 9])
def test_same_bits_compares_bits(pad: int) -> None:
    one = torch.arange(8 + pad, dtype=torch.int8)
    other = one.clone()
    assert same_bits(one, other)
    other[-1] ^= 1
    assert not same_bits(one, other)
    assert not same_bits(torch.tensor([0.0]), torch.tensor([-0.0]))


def test_raw_bytes_are_row_major() -> None:
    matrix = torch.arange(6, dtype=torch.int16).view(2, 3)
    assert bytes(raw_bytes(matrix.T)) == bytes([0, 0, 3, 0, 1, 0, 4, 0, 2, 0, 5, 0])
    assert bytes(raw_bytes(torch.empty(0, 3))) == b""


def test_a_loaded_file_equals_the_safetensors_library(plain: Checkpoint) -> None:
    library = load_file(plain.root / "model.safetensors")
    assert all(torch.equal(plain.tensor(canonical(key)), value) for key, value in library.items())


def test_a_tensor_is_hashed_once_for_all_views(plain: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[int] = []

    def watched(tensor: Tensor) -> memoryview:
        hashed.append(tensor.numel())
        return raw_bytes(tensor)

    monkeypatch.setattr("recover.checkpoints.checkpoint.raw_bytes", watched)
    start = Checkpoint.open(plain.root)
    view = start.with_overrides({"layers.1.mlp.up_proj.weight": lambda t: t + 1})
    assert start.fingerprint != view.fingerprint
    assert len(hashed) == len(start.names()) + 1
    assert hashed[-1] == start.tensor("layers.1.mlp.up_proj.weight").numel()
    assert view.with_overrides({}).fingerprint == view.fingerprint
    assert len(hashed) == len(start.names()) + 1
    assert Checkpoint.open(plain.root).fingerprint == start.fingerprint
    assert len(hashed) == 2 * len(start.names()) + 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64], ids=str)
@pytest.mark.parametrize("size", [1, 7, 64, 70_001])
def test_is_finite_sees_one_odd_element_anywhere(dtype: torch.dtype, size: int) -> None:
    value = torch.linspace(-1, 1, size).to(dtype)
    value[-1] = torch.finfo(dtype).max
    assert is_finite(value)
    for place in {0, size // 3, size // 2, size - 1}:
        for odd in (float("nan"), float("inf"), -float("inf")):
            spoiled = value.clone()
            spoiled[place] = odd
            assert not is_finite(spoiled), (place, odd)
    assert is_finite(torch.empty(0, 3, dtype=dtype))
    assert is_finite(torch.tensor(1.0, dtype=dtype))
