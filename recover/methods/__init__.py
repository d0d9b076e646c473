"""Restore methods, one small file each. Add one by adding it to METHODS, or name yours `package.module:function`."""

import importlib
import inspect
from typing import Any

from recover.errors import InputError
from recover.methods.interpolate import interpolate
from recover.methods.protocol import Check, Data, Limits, Method, Step
from recover.methods.random import random
from recover.methods.refusal_kl import refusal_kl
from recover.methods.sp2025 import sp2025

__all__ = ["METHODS", "Check", "Data", "Limits", "Method", "Step", "defaults", "get_method", "parse_options"]


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
    kind = type(known[name])
    try:
        return {"true": True, "false": False}[text.lower()] if kind is bool else kind(text)
    except (ValueError, KeyError) as error:
        raise InputError(f"the option {name}={text} is not a {kind.__name__}") from error


METHODS: dict[str, Method] = {
    "refusal-kl": refusal_kl,
    "sp2025": sp2025,
    "random": random,
    "interpolate": interpolate,
}
