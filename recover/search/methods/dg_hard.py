"""The update without its noise: singular values of tuned - aligned under the optimal hard threshold are set to 0.

Gavish and Donoho, "The Optimal Hard Threshold for Singular Values is 4/sqrt(3)", IEEE Transactions on Information
Theory 2014, arXiv 1305.5870. For a matrix of n columns and aspect ratio beta = rows / columns <= 1 with noise of
deviation sigma in each entry the threshold is lambda(beta) sqrt(n) sigma, optimal as n grows; where sigma is not known,
omega(beta) times the median singular value, omega by the cubic that they give for it. No data is used. An update of low
rank, such as a merged LoRA, has a median near 0 and stays as it is, but for the rounding of the merge.
"""

from functools import partial
from math import sqrt

import torch
from torch import Tensor

from recover.model.editable import EditableModel
from recover.search.methods.matrices import by_matrix
from recover.search.methods.protocol import Data, Limits, OnStep, Step


def dg_hard(live: EditableModel, _data: Data, _limits: Limits, on_step: OnStep, *, noise: float = 0.0) -> str:
    """Keep the singular values of each matrix's update that are over the threshold of Gavish and Donoho.

    `noise` is the standard deviation of the noise in an entry; 0 means unknown: the median rule.
    """
    edit = by_matrix(live, live.matrices, partial(_restored, noise))
    note = f"{len(edit)} of {len(live.matrices)} matrices have less rank"
    with live.edited(edit):
        on_step(Step(0, edit=edit, note=note))
    return note


def _restored(noise: float, _name: str, aligned: Tensor, tuned: Tensor) -> Tensor | None:
    update = denoised(tuned - aligned, noise)
    return None if update is None else aligned + update


def denoised(update: Tensor, noise: float) -> Tensor | None:
    """A matrix without its singular values at or under the threshold; None if none is."""
    left, values, right = torch.linalg.svd(update, full_matrices=False)
    keep = values > threshold(values, update.shape, noise)
    return None if keep.all() else (left * (values * keep)) @ right


def threshold(values: Tensor, shape: torch.Size, noise: float) -> float:
    """The optimal threshold for the singular values of a matrix of this shape."""
    short, long = sorted(shape)
    beta = short / long
    if noise:
        return known(beta) * sqrt(long) * noise
    return (0.56 * beta**3 - 0.95 * beta**2 + 1.82 * beta + 1.43) * float(values.quantile(0.5))


def known(beta: float) -> float:
    """lambda(beta), the threshold in units of sqrt(n) sigma."""
    return sqrt(2 * (beta + 1) + 8 * beta / (beta + 1 + sqrt(beta**2 + 14 * beta + 1)))
