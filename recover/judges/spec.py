"""Reading a judge's spec, and hashing the parts of its fingerprint."""

import hashlib
import json
import re
from collections.abc import Iterable
from pathlib import Path

from recover.errors import InputError


def split_options(kind: str, argument: str, names: Iterable[str] = ()) -> tuple[str, dict[str, str]]:
    """Split `HEAD,name=value,...`. Raises InputError for an empty head or an option that is not one of `names`."""
    head, *parts = re.split(r",(?=\w+=)", argument)
    options = dict(part.split("=", 1) for part in parts)
    if not head:
        raise InputError(f"The judge '{kind}' needs an argument; write '{kind}:...' as docs/judges.md has it.")
    if unknown := sorted(set(options) - set(names)):
        expected = ", ".join(names) or "none"
        raise InputError(f"The judge '{kind}' has no option {', '.join(unknown)}; its options are: {expected}.")
    return head, options


def digest(*parts: object) -> str:
    """The sha256 of some JSON values, in their order."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def file_digest(file: Path) -> str:
    """The sha256 of a file's bytes."""
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
