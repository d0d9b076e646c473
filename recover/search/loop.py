"""recover(): the loop around a method. It measures on validation prompts, holds the floor and keeps the best step."""

import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any

from recover.checkpoints.architecture import block_of, decoder_blocks
from recover.checkpoints.checkpoint import Checkpoint
from recover.checkpoints.pair import Pair
from recover.checkpoints.patch import Edit, restored_checkpoint
from recover.checkpoints.selection import Selection
from recover.errors import InputError
from recover.evaluation.answer_cache import cached_answers
from recover.evaluation.ask import answer_circumstances
from recover.generation.chat import ChatFormat
from recover.generation.runtime import changed
from recover.judges import get_judge, is_refusal
from recover.model.device import pick_device, pick_dtype, pick_offload
from recover.model.editable import EditableModel
from recover.progress import Notify, silent
from recover.prompts.prompt_set import PromptSet, leaks, load_prompts
from recover.prompts.tasks import Task, load_task
from recover.results.schema import BlockCount, MatrixCount, Restoration
from recover.search import methods
from recover.search.history import SearchHistory, Validator, restored_weights
from recover.search.methods import Check, Data, Limits
from recover.search.settings import BUDGETS, SearchSettings

MAX_CAPTURE_PROMPTS, MAX_CAPTURE_ROWS = 128, 96  # most prompts of a set, and rows of the task, that a method is given
NOTHING_LOST = "nothing to restore: the tuned model refuses as it should"


@dataclass(frozen=True)
class Recovery:
    """What recover() found: the edit, its account, and whether it meets target and floor on the validation parts."""

    pair: Pair
    edit: Edit
    account: Restoration
    check: Check

    @cached_property
    def checkpoint(self) -> Checkpoint:
        """The restored checkpoint, as a view of the pair: evaluate it, or write it with publish.write_copy."""
        return restored_checkpoint(self.pair, self.edit)


def recover(
    pair: Pair,
    settings: SearchSettings | None = None,
    *,
    unseen: Sequence[PromptSet] = (),
    store: Path | None = None,
    notify: Notify = silent,
    **changes: Any,
) -> Recovery:
    """Find the edit of the tuned model that makes it refuse as the aligned one does and keeps its task.

    `changes` are fields of SearchSettings and Runtime by name: `recover(pair, budget=0.01, seed=1)`. Prompts of
    `unseen` (the report sets) are taken out of what the method and the checks see. Runs of one aligned model share its
    answers in the directory `store`. Raises InputError for prompts, models or options that do not fit.
    """
    started = time.monotonic()
    settings = changed(settings or SearchSettings(), changes)
    runtime, method = settings.runtime, methods.get_method(settings.method)
    methods.check_inputs(settings.method, unaligned=pair.unaligned is not None)
    methods.check_space(settings.method, pair.space)
    prompts = SearchPrompts.of(settings, unseen)
    chat = ChatFormat.of([pair.aligned, pair.tuned], settings.chat_template, runtime.batches)
    device = pick_device(runtime.device)
    dtype = pick_dtype(runtime.dtype, pair.tuned, device)
    data = prompts.data(chat)
    validator = Validator(chat, prompts.validation, prompts.task, get_judge(settings.judge), notify)
    notify("comparing the checkpoints", 0, 1, "")
    pair.changed  # noqa: B018, reads every weight once and refuses what cannot be restored before a model is loaded
    live = EditableModel(pair, dtype, device, pick_offload(runtime.offload, pair.tuned, dtype, device))
    if store:
        facts = answer_circumstances(chat, dtype, device)
        chat = replace(chat, recall=cached_answers(store, facts, lambda: live.fingerprint, notify))
        data, validator = replace(data, answer=chat.continuations), replace(validator, chat=chat)
    history = SearchHistory(live, validator, settings.max_task_drop, settings.target)
    budget = BUDGETS[pair.space] if settings.budget is None else settings.budget
    limits = Limits(int(budget * pair.tuned.weights), runtime.seed)
    if history.nothing_lost():
        stopped = NOTHING_LOST
    else:
        stopped = method(live, data, limits, history.on_step, **settings.options)
    history.finish()
    best = history.best()
    account = Restoration(
        method=settings.method,
        space=pair.space,
        weights=pair.tuned.weights,
        model_weights=pair.aligned.weights + pair.tuned.weights if pair.space == "adapter" else None,
        steps=history.steps,
        stopped=stopped,
        seconds=time.monotonic() - started,
        peak_rss_bytes=peak_memory(),
        candidates=sum(p.numel() for p in live.parameters.values()),
        options={**methods.defaults(method), **settings.options},
        best_step=best,
        validation=history.levels(),
        **_where(live, history.edits[best]),
    )
    return Recovery(pair, history.edits[best], account, history.checks[best])


@dataclass(frozen=True)
class SearchPrompts:
    """The prompts that a search may see, none of which is in a report set."""

    harmful: PromptSet
    validation: PromptSet
    general: PromptSet
    task: Task | None

    @staticmethod
    def of(settings: SearchSettings, unseen: Sequence[PromptSet]) -> "SearchPrompts":
        """Load what the settings name, without what must stay unseen."""
        task = settings.task
        if task is not None and not isinstance(task, Task):
            task = load_task(task, seed=settings.runtime.seed)
        named = (settings.harmful, settings.validation, settings.general)
        harmful, validation, general = (without(load_prompts(s) if isinstance(s, str) else s, unseen) for s in named)
        return SearchPrompts(harmful, validation, general, task)

    def data(self, chat: ChatFormat) -> Data:
        """The capture parts as tokens: at most MAX_CAPTURE_PROMPTS of a set, and MAX_CAPTURE_ROWS of the task."""
        rows = self.task.capture.head(MAX_CAPTURE_ROWS) if self.task else ()
        return Data(
            harmful=chat.encode(self.harmful.head(MAX_CAPTURE_PROMPTS)),
            general=chat.encode(self.general.head(MAX_CAPTURE_PROMPTS)),
            task=chat.encode(rows),
            references=[chat.reference(row) for row in rows],
            answer=chat.continuations,
            refuses=lambda tokens: is_refusal(chat.decode(tokens)),
        )


def without(prompts: PromptSet, unseen: Sequence[PromptSet]) -> PromptSet:
    """The prompts that are, exactly or nearly, in no set that must stay unseen; InputError if none is left."""
    leaked = {ours for other in unseen for _, ours, _ in leaks(other, prompts)}
    if len(leaked) == len(prompts):
        raise InputError(
            f"every prompt of {prompts.name} is also in a report set, so that none is left for the method and its "
            "checks; report on other prompts"
        )
    return prompts.subset([p.id for p in prompts if p.id not in leaked]) if leaked else prompts


def _where(live: EditableModel, edit: Edit) -> dict[str, Any]:
    """The restored weights: in all, by block and by kind of matrix."""
    tuned = live.pair.tuned
    block_path, _ = decoder_blocks(live.model)
    by_block: dict[int | None, list[int]] = {}  # [restored, weights]
    by_matrix: dict[str, list[int]] = {}
    for name in live.pair.names:
        size, block = prod(tuned.header(name)[1]), block_of(name, block_path)
        taken = len(edit.positions.get(name, ())) if isinstance(edit, Selection) else size * (name in edit)
        matrix = name.split(f".{block}.", 1)[-1].removesuffix(".weight")
        for counts in (by_block.setdefault(block, [0, 0]), by_matrix.setdefault(matrix, [0, 0])):
            counts[0] += taken
            counts[1] += size
    restored = restored_weights(edit, live.pair)
    order = sorted(by_block, key=lambda b: (b is None, b))
    return {
        "restored": restored,
        "fraction": restored / tuned.weights,
        "by_block": [BlockCount(block=b, restored=by_block[b][0], weights=by_block[b][1]) for b in order],
        "by_matrix": [MatrixCount(matrix=m, restored=r, weights=w) for m, (r, w) in sorted(by_matrix.items()) if r],
    }


def peak_memory() -> int:
    """The largest resident memory of this process so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
