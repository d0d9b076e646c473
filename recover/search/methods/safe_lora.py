"""Safe LoRA: updates that leave the subspace of the alignment are projected onto it. "Safe LoRA: the Silver Lining of
Reducing Safety Risks when Fine-tuning Large Language Models", NeurIPS 2024, arXiv 2405.16833.

    V = aligned - unaligned,   C = V V^T / ||V||_F,   D = tuned - aligned
    D becomes C D  where  cos(C D, D) <= tau

for each weight matrix, as (outputs, inputs). The paper does it to LoRA updates D = B A, and so does this method where
an adapter is restored in its own space: B becomes C B. In other checkpoints D is any update. C is not built: V (V^T D)
is the same. A matrix with V = 0 has no C and stays as it was tuned.
"""

from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from recover.checkpoints.patch import Dense
from recover.errors import InputError
from recover.model.editable import EditableModel
from recover.search.methods.matrices import by_matrix, conv1d_weights, fixed, sideways, upright
from recover.search.methods.protocol import Data, Limits, OnStep, Step


def safe_lora(
    live: EditableModel, _data: Data, _limits: Limits, on_step: OnStep, *, tau: float = 0.5, merge: float = 0.0
) -> str:
    """Project the updates of matrices whose cosine with their projection is at most `tau`. Needs the unaligned model.

    `merge` keeps that share of such an update: merge D + (1 - merge) C D. This is a variant with the rule of SafeMERGE
    (arXiv 2503.17239), which merges with the update of a fine-tune on safety data where there is C D here.
    """
    if not 0 <= merge <= 1:
        raise InputError(f"safe-lora has merge={merge}; expected a share from 0 to 1")
    project = _project_factors if live.pair.space == "adapter" else _project_matrices
    edit, matrices = project(live, tau, merge)
    note = f"{len(edit)} of {matrices} matrices projected" + (f", merge = {merge} (a variant)" if merge else "")
    with live.edited(edit):
        on_step(Step(0, edit=edit, note=note))
    return note


def _project_factors(live: EditableModel, tau: float, merge: float) -> tuple[Dense, int]:
    """The edit of an adapter's own lora_B factors, and how many there are."""
    pair, edit = live.pair, {}
    assert pair.tuned.adapter  # noqa: S101, the space says so
    assert pair.unaligned  # noqa: S101, check_inputs refuses a run without it
    products, turned = pair.tuned.adapter.products, conv1d_weights(live)
    for name, (down, weight) in products.items():
        if weight not in pair.unaligned.entries:
            continue
        factors = [pair.tuned.tensor(n).to(live.device).float() for n in (name, down)]
        sides = [
            upright(c.tensor(weight).to(live.device).float(), weight in turned) for c in (pair.aligned, pair.unaligned)
        ]
        restored = projected(sides[0] - sides[1], factors[0], tau, merge, factors[1])
        if restored is not None:
            edit[name] = fixed(restored.to("cpu", pair.tuned.header(name)[0]))
    return edit, len(products)


def _project_matrices(live: EditableModel, tau: float, merge: float) -> tuple[Dense, int]:
    """The edit of whole weight matrices, and how many there are."""
    return by_matrix(live, live.matrices, partial(_restored, live, sideways(live), tau, merge)), len(live.matrices)


def _restored(
    live: EditableModel, turned: set[str], tau: float, merge: float, name: str, aligned: Tensor, tuned: Tensor
) -> Tensor | None:
    before = upright(live.pair.before(name).to(aligned), name in turned)
    update = projected(aligned - before, tuned - aligned, tau, merge)
    return None if update is None else aligned + update


def projected(safety: Tensor, update: Tensor, tau: float, merge: float, right: Tensor | None = None) -> Tensor | None:
    """What an update (outputs, inputs) becomes for V = `safety`; None if it stays.

    With `right`, `update` is the left factor of the update (outputs, rank), and `right` the other one (rank, inputs).
    """
    if not safety.any():
        return None
    inside = safety @ (safety.mT @ update) / safety.norm()
    before, after = (update, inside) if right is None else (update @ right, inside @ right)
    if cosine_similarity(after.flatten(), before.flatten(), dim=0) > tau:
        return None
    return torch.lerp(inside, update, merge)
