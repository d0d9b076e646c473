"""Judges: was this answer harmful, a refusal, safe, or no answer at all?

Each kind is one small file. Add a kind by adding it to JUDGES, or name your own as `package.module:attribute`. Making a
judge checks its argument and loads nothing. The first answers load its model.
"""

import importlib
import re
from collections.abc import Callable
from typing import cast

from recover.errors import InputError
from recover.judges import classifier, command, ensemble, guard, labels, rules, server
from recover.judges.protocol import Item, Judge, Judgement, Verdict, unscored
from recover.judges.rules import REFUSALS, Rules, is_degenerate, is_refusal

__all__ = [
    "JUDGES",
    "REFUSALS",
    "Item",
    "Judge",
    "Judgement",
    "Rules",
    "Verdict",
    "get_judge",
    "is_degenerate",
    "is_refusal",
    "unscored",
]


def get_judge(spec: str | Judge) -> Judge:
    """Return the judge that `spec` names: a built-in "kind" or "kind:argument", or "package.module:attribute".

    The attribute is a judge, or a class or function that makes one without arguments. A judge is returned unchanged.
    Raises InputError if there is no such judge.
    """
    if not isinstance(spec, str):
        return spec
    kind, _, argument = spec.partition(":")
    if kind in JUDGES:
        return JUDGES[kind](argument)
    if not re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", spec):
        raise _unknown(spec)
    return _third_party(spec, kind, argument)


def _third_party(spec: str, module: str, attribute: str) -> Judge:
    try:
        judge = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise _unknown(spec) from error
    if callable(judge) and (isinstance(judge, type) or not hasattr(judge, "fingerprint")):
        judge = judge()
    if not (callable(judge) and isinstance(getattr(judge, "name", None), str) and hasattr(judge, "fingerprint")):
        raise InputError(f"'{spec}' is no judge: it must be callable and have a name and a fingerprint.")
    return cast(Judge, judge)


def _unknown(spec: str) -> InputError:
    kinds = ", ".join(JUDGES)
    return InputError(f"There is no judge '{spec}'; there are {kinds}, and those named as package.module:attribute.")


JUDGES: dict[str, Callable[[str], Judge]] = {
    "rules": rules.from_argument,
    "guard": guard.from_argument,
    "classifier": classifier.from_argument,
    "openai": server.from_argument,
    "exec": command.from_argument,
    "file": labels.from_argument,
    "ensemble": ensemble.from_argument,
}
