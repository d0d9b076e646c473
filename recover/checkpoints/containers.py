"""Weight files: where each tensor's bytes lie in a safetensors or a torch zip file. No code of the file is run.

Both formats give one `TensorEntry` for each tensor, so reading, hashing and patching are the same code for both.
"""

import json
import pickle
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from recover.errors import InputError

SAFETENSORS_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
}
STATE_KEYS = ("state_dict", "model", "model_state_dict")


@dataclass(frozen=True)
class TensorEntry:
    """Where a tensor lies: byte offset in the file, and strides in elements.

    In torch's format before 1.6 tensors have no offset; there, `value` is set instead.
    """

    file: Path
    key: str
    dtype: torch.dtype
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int
    value: Tensor | None = None


def weight_files(directory: Path) -> list[Path]:
    """The weight files of a Hugging Face directory: the shards of its index, or its one file; none without a model.

    Raises InputError for a shard outside the directory: an index comes from outside and is not trusted.
    """
    for index, single in (
        ("model.safetensors.index.json", "model.safetensors"),
        ("pytorch_model.bin.index.json", "pytorch_model.bin"),
    ):
        shards = _shards(directory / index) if (directory / index).is_file() else []
        one_file = [directory / single] if (directory / single).is_file() else []
        if shards and one_file and shards != one_file:  # transformers would read the one file
            raise InputError(
                f"{directory} holds {single} and the shards of {index}, which may be two models; remove the one that "
                "is not meant"
            )
        if shards or one_file:
            return shards or one_file
    others = [p for p in sorted(directory.glob("*.safetensors")) if not p.name.startswith("adapter_")]
    return others if len(others) == 1 else []


def _shards(index: Path) -> list[Path]:
    try:
        mapping: Mapping[str, Any] = json.loads(index.read_text("utf-8"))["weight_map"]
        names = sorted(set(mapping.values()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{index} is no shard index: expected a JSON object with a weight_map") from error
    for name in names:
        if not isinstance(name, str) or not re.fullmatch(r"[\w][\w.-]*", name):
            raise InputError(f"{index} points outside its directory ({name!r}); expected plain file names")
        if not (index.parent / name).is_file():
            raise InputError(f"{index} names the shard {name}, which is not there")
    return [index.parent / name for name in names]


def read_entries(file: Path) -> dict[str, TensorEntry]:
    """The tensors of one weight file by key, from its header; InputError if it is damaged or no weights file."""
    return _torch_entries(file) if is_torch(file) else _safetensors_entries(file)


def is_torch(file: Path) -> bool:
    """Whether a weights file is torch's and not safetensors: by its suffix, or by its content for another suffix."""
    return file.suffix in (".pt", ".pth", ".bin") or (file.suffix != ".safetensors" and zipfile.is_zipfile(file))


def _safetensors_entries(file: Path) -> dict[str, TensorEntry]:
    try:
        with safe_open(file, "pt"):  # safetensors checks the header against the file's size
            pass
        with file.open("rb") as handle:
            (length,) = struct.unpack("<Q", handle.read(8))
            header = json.loads(handle.read(length))
    except (SafetensorError, OSError, ValueError, struct.error) as error:
        raise InputError(f"{file} is damaged or no safetensors file ({error}); fetch it again") from error
    header.pop("__metadata__", None)
    return {key: _safetensors_entry(file, key, 8 + length, spec) for key, spec in header.items()}


def _safetensors_entry(file: Path, key: str, start: int, spec: Mapping[str, Any]) -> TensorEntry:
    if spec["dtype"] not in SAFETENSORS_DTYPES:
        raise InputError(f"{file} holds {key} as {spec['dtype']}; expected a float checkpoint, not a quantised one")
    shape = tuple(spec["shape"])
    return TensorEntry(
        file, key, SAFETENSORS_DTYPES[spec["dtype"]], shape, _strides(shape), start + spec["data_offsets"][0]
    )


def _strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    return torch.empty(shape, device="meta").stride()


def _torch_entries(file: Path) -> dict[str, TensorEntry]:
    """Read a state dict's layout, but not its values. Only tensors may be unpickled."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    try:
        if zipfile.is_zipfile(file):
            _require_stored(file)
            with FakeTensorMode():
                state = _state(_unpickled(file), file)
            return {key: _torch_entry(file, key, tensor) for key, tensor in state.items()}
        state = _state(_unpickled(file), file)
    except pickle.UnpicklingError as error:
        reason = re.sub(r"\s+", " ", str(error))[:160]
        raise InputError(
            f"{file} holds more than tensors, or is no checkpoint: refused, as loading it could run code ({reason}); "
            "save it again as a plain state dict or as safetensors"
        ) from error
    except InputError:
        raise
    except Exception as error:  # torch raises errors of many types for a damaged file
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{file} is damaged or no torch checkpoint ({reason}); fetch it again") from error
    return {
        k: TensorEntry(file, k, t.dtype, tuple(t.shape), tuple(t.stride()), -1, t.detach()) for k, t in state.items()
    }


def _require_stored(file: Path) -> None:
    """Raise InputError for compressed records: tensors are read in place, so they must be stored as torch.save does."""
    with zipfile.ZipFile(file) as archive:
        if any(record.compress_type != zipfile.ZIP_STORED for record in archive.infolist()):
            raise InputError(f"{file} was compressed after torch wrote it; load it and save it again with torch.save")


def _unpickled(file: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of an odd protocol; if it cannot read the file, it raises too
        return torch.load(file, weights_only=True, map_location="cpu")


def _torch_entry(file: Path, key: str, tensor: Any) -> TensorEntry:
    offset = tensor.untyped_storage()._checkpoint_offset + tensor.storage_offset() * tensor.dtype.itemsize
    span = 1 + sum((n - 1) * s for n, s in zip(tensor.shape, tensor.stride(), strict=True))
    if tensor.numel() and offset + span * tensor.dtype.itemsize > file.stat().st_size:
        raise ValueError(f"{key} ends after the end of the file")
    return TensorEntry(file, key, tensor.dtype, tuple(tensor.shape), tuple(tensor.stride()), offset)


def _state(loaded: Any, file: Path) -> dict[str, Tensor]:
    """The state dict in a loaded object: the object itself, or its item under one of STATE_KEYS."""
    for key in STATE_KEYS:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(key), Mapping):
            loaded = loaded[key]
    tensors = {k: v for k, v in loaded.items() if isinstance(v, Tensor)} if isinstance(loaded, Mapping) else {}
    if not tensors:
        raise InputError(f"{file} holds no state dict: expected names mapped to tensors, maybe under 'state_dict'")
    return tensors


def refresh_checksums(file: Path, changed_offsets: Iterable[int]) -> None:
    """Correct the checksums of a torch zip file after bytes at these offsets were changed in place."""
    offsets = sorted(changed_offsets)
    with zipfile.ZipFile(file) as archive:
        records, start = archive.infolist(), archive.start_dir
    with file.open("r+b") as handle:
        checksums = {}  # of changed records, by the offset of their local header
        for record in records:
            data = _data_start(handle, record)
            if any(data <= o < data + record.compress_size for o in offsets):
                checksums[record.header_offset] = _checksum(handle, data, record.compress_size)
                _write_local(handle, record, data, checksums[record.header_offset])
        for central_offset, header_offset in _directory(handle, start, len(records)):
            if header_offset in checksums:
                handle.seek(central_offset + 16)
                handle.write(struct.pack("<I", checksums[header_offset]))


def _data_start(handle: BinaryIO, record: zipfile.ZipInfo) -> int:
    handle.seek(record.header_offset + 26)
    name, extra = struct.unpack("<HH", handle.read(4))
    return int(record.header_offset + 30 + name + extra)


def _checksum(handle: BinaryIO, start: int, size: int) -> int:
    handle.seek(start)
    crc = 0
    while size:
        block = handle.read(min(size, 1 << 22))
        crc, size = zlib.crc32(block, crc), size - len(block)
    return crc


def _write_local(handle: BinaryIO, record: zipfile.ZipInfo, data: int, crc: int) -> None:
    """Write a record's local checksum: in its header, or in the descriptor after the data if the flags say so."""
    offset = record.header_offset + 14
    if record.flag_bits & 8:
        handle.seek(data + record.compress_size)
        offset = data + record.compress_size + (4 if handle.read(4) == b"PK\x07\x08" else 0)
    handle.seek(offset)
    handle.write(struct.pack("<I", crc))


def _directory(handle: BinaryIO, start: int, count: int) -> Iterator[tuple[int, int]]:
    """(offset of the central record, offset of its local header) for each file in a zip."""
    central_offset = start
    for _ in range(count):
        handle.seek(central_offset)
        head = handle.read(46)
        name, extra, comment = struct.unpack("<HHH", head[28:34])  # lengths in bytes
        (header_offset,) = struct.unpack("<I", head[42:46])
        if header_offset == 0xFFFFFFFF:  # zip64: the offset is the last 8-byte field of the extra block
            handle.seek(central_offset + 46 + name)
            header_offset = _zip64_offset(handle.read(extra), head)
        yield central_offset, header_offset
        central_offset += 46 + name + extra + comment


def _zip64_offset(extra: bytes, head: bytes) -> int:
    sizes = sum(struct.unpack("<I", head[i : i + 4])[0] == 0xFFFFFFFF for i in (20, 24))
    while extra:
        field_id, length = struct.unpack("<HH", extra[:4])
        if field_id == 1:
            return int(struct.unpack("<Q", extra[4 + 8 * sizes : 12 + 8 * sizes])[0])
        extra = extra[4 + length :]
    raise zipfile.BadZipFile("a zip64 record lacks its offset")
