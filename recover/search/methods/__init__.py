"""Restore methods, one small file each. Add one to METHODS and ABOUT, or name yours `package.module:function`."""

import importlib
import inspect
from dataclasses import dataclass
from typing import Any

from recover.errors import InputError
from recover.search.methods import (
    dg_hard,
    interpolate,
    random,
    refusal_kl,
    resta,
    safe_delta,
    safe_lora,
    snip_diff,
    sp2025,
)
from recover.search.methods.protocol import Check, Data, Limits, Method, Step

__all__ = [
    "ABOUT",
    "METHODS",
    "About",
    "Check",
    "Data",
    "Limits",
    "Method",
    "Step",
    "check_inputs",
    "check_space",
    "defaults",
    "get_method",
    "parse_options",
]


@dataclass(frozen=True)
class About:
    """What the list of methods says of one, beside the first line of its docstring."""

    reads: str  # beside the weights of both checkpoints
    changes: str
    source: str
    unaligned: bool = False  # whether it needs the model before its alignment
    adapter: bool = False  # whether it can restore an adapter in its own entries
    patch: bool = False  # whether what it changes is a selection, which a patch can hold


def get_method(name: str) -> Method:
    """A method by its name here, or a third party's by `package.module:function`; InputError if there is none."""
    if name in METHODS:
        return METHODS[name]
    module, colon, attribute = name.partition(":")
    if not colon:
        raise InputError(f"there is no method {name}; expected one of {', '.join(METHODS)} or package.module:function")
    try:
        found: Method = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise InputError(f"the method {name} cannot be imported ({error})") from error
    return found


def check_inputs(name: str, unaligned: bool) -> None:
    """InputError if a method of METHODS lacks the unaligned model that it needs, or is given one that it does not."""
    needs = ABOUT[name].unaligned if name in ABOUT else unaligned
    if needs and not unaligned:
        raise InputError(f"{name} needs the base model that ALIGNED was before its alignment; pass --unaligned PATH")
    if unaligned and not needs:
        those = ", ".join(known for known, about in ABOUT.items() if about.unaligned)
        raise InputError(f"{name} does not use an unaligned model; leave --unaligned out, or choose one of {those}")


def check_space(name: str, space: str) -> None:
    """InputError if a method of METHODS cannot restore an adapter in its own entries."""
    if space == "adapter" and name in ABOUT and not ABOUT[name].adapter:
        those = ", ".join(known for known, about in ABOUT.items() if about.adapter)
        raise InputError(
            f"{name} changes weights of the whole model; restore the merged adapter with --space weights, or choose "
            f"one of {those}"
        )


def parse_options(method: Method, given: dict[str, str]) -> dict[str, Any]:
    """Options as text to the types of the method's own defaults; InputError for an unknown name or a bad value."""
    known = defaults(method)
    return {name: _typed(name, text, known) for name, text in given.items()}


def defaults(method: Method) -> dict[str, Any]:
    """A method's options with their default values."""
    return {n: p.default for n, p in inspect.signature(method).parameters.items() if p.kind is p.KEYWORD_ONLY}


def _typed(name: str, text: str, known: dict[str, Any]) -> Any:
    if name not in known:
        raise InputError(f"the method has no option {name}; it has {', '.join(sorted(known)) or 'none'}")
    option_type = type(known[name])
    try:
        return {"true": True, "false": False}[text.lower()] if option_type is bool else option_type(text)
    except (ValueError, KeyError) as error:
        raise InputError(f"the option {name}={text} is not a {option_type.__name__}") from error


METHODS: dict[str, Method] = {
    "refusal-kl": refusal_kl.refusal_kl,
    "sp2025": sp2025.sp2025,
    "random": random.random,
    "interpolate": interpolate.interpolate,
    "resta": resta.resta,
    "safe-lora": safe_lora.safe_lora,
    "safe-delta": safe_delta.safe_delta,
    "snip-diff": snip_diff.snip_diff,
    "dg-hard": dg_hard.dg_hard,
}

SELECTED, MATRICES, EVERY = "selected weights", "whole matrices of the blocks", "every weight"
ABOUT = {
    "refusal-kl": About("harmful and ordinary prompts, the task", SELECTED, "this project", patch=True, adapter=True),
    "sp2025": About(
        "harmful prompts, the task", "selected weights of the first blocks", "arXiv 2504.09757", patch=True
    ),
    "random": About("nothing", SELECTED, "the null", patch=True, adapter=True),
    "interpolate": About("nothing", EVERY, "linear interpolation", adapter=True),
    "resta": About("the unaligned model", EVERY, "arXiv 2402.11746", unaligned=True),
    "safe-lora": About("the unaligned model", MATRICES, "arXiv 2405.16833", unaligned=True, adapter=True),
    "safe-delta": About("harmful prompts", MATRICES, "arXiv 2505.12038"),
    "snip-diff": About(
        "harmful prompts, the task or else ordinary prompts",
        "selected weights of the blocks' matrices",
        "arXiv 2402.05162",
        patch=True,
    ),
    "dg-hard": About("nothing", MATRICES, "arXiv 1305.5870"),
}
