"""Losses: free functions from scores (or vectors) to the mean over a batch.

Shapes: B rows, J negatives of a row, S negatives shared by the batch, M items, D the size of a vector. `hits` marks negatives
that are the row's own positive and are left out of every sum; a row whose negatives are all left out counts as zero loss.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from twofold.nn.ordered import sigmoid, softmax, softplus
from twofold.nn.ragged import Ragged

LOWEST = -1e30
"""A score that no softmax sees; -inf would make gradients that are not numbers."""


def dssm_softmax(
    query: Tensor, positive: Tensor, negative: Tensor, gamma: float, hits: Tensor | None = None
) -> Tensor:
    """Return the mean of -ln P(D+ | Q) over clicked pairs, J negatives each.

    Huang et al. (2013), "Learning Deep Structured Semantic Models for Web Search using Clickthrough Data", Eq. 5
    to 7: R(Q, D) = cos(y_Q, y_D), P(D | Q) = exp(gamma R(Q, D)) / sum over D' of exp(gamma R(Q, D')). Elkahky, Song & He
    (2015), Eq. 6, is the same for the active view. A zero vector has cosine 0.

    Parameters
    ----------
    query : shape (B, D)
        y_Q.
    positive : shape (B, D)
        y_D of the clicked documents.
    negative : shape (B, J, D), or (J, D) for the whole batch
        y_D of the others.
    gamma
        Smoothing factor, > 0; the papers give no value.
    hits : bool, shape (B, J)
        Negatives that the query's person has.
    """
    query, positive, negative = (
        F.normalize(one, dim=-1, eps=1e-8) for one in (query, positive, negative)
    )
    near = (query * positive).sum(1)  # (B,)
    shared = negative.ndim == 2
    far = query @ negative.T if shared else torch.einsum("bd,bjd->bj", query, negative)  # (B, J)
    same = torch.zeros((), device=query.device)
    return sampled_softmax(gamma * near, gamma * far, same, same, hits)


def full_softmax(scores: Tensor, target: Tensor) -> Tensor:
    """Return the mean of -ln softmax(scores)[target]; scores (B, M), target (B,)."""
    return F.cross_entropy(scores, target.long())


def sampled_softmax(
    positive: Tensor,
    sampled: Tensor,
    log_q_positive: Tensor,
    log_q_sampled: Tensor,
    hits: Tensor | None = None,
) -> Tensor:
    """Return the mean cross-entropy against shared negatives, each score lowered by ln Q.

    Bengio & Senecal (2008); Jean et al. (2015); used by Covington, Adams & Sargin (2016), section 3.1: importance weights
    correct for the distribution Q from which the negatives were drawn.

    Parameters
    ----------
    positive : shape (B,)
        Scores v_i . u of the row's own item.
    sampled : shape (B, S) or (B, J)
        Scores of the negatives.
    log_q_positive : shape (B,)
        ln Q of the row's own item.
    log_q_sampled : shape (S,) or (B, J)
        ln Q of the negatives; a constant added to both changes nothing.
    hits : bool, shape (B, S)
        Where a negative is the row's own item.
    """
    lowered = left_out(sampled - log_q_sampled, hits)  # (B, S)
    logits = torch.cat([(positive - log_q_positive)[:, None], lowered], dim=1)
    return -F.log_softmax(logits, dim=1)[:, 0].mean()


def in_batch_softmax(
    scores: Tensor, items: Tensor, log_q: Tensor, weights: Tensor | None = None
) -> Tensor:
    """Return the mean cross-entropy of each row's item among the items of the batch.

    Yi et al. (2019), "Sampling-Bias-Corrected Neural Modeling for Large Corpus Item Recommendations", Eq. 4 and 5. Another row with
    the same item is an accidental hit and is left out.

    Parameters
    ----------
    scores : shape (B, B)
        Row b, column c: user b with the item of row c.
    items : shape (B,)
        Ids of the items.
    log_q : shape (B,)
        ln of the probability that an item is in a batch, up to a constant.
    weights : shape (B,)
        Reward of each row, >= 0; 1 where absent. The mean is over their sum.
    """
    other = ~torch.eye(len(items), dtype=torch.bool, device=items.device)
    hits = (items[:, None] == items) & other
    loss = -F.log_softmax(left_out(scores - log_q, hits), dim=1).diagonal()
    return loss.mean() if weights is None else (weights * loss).sum() / weights.sum()


def bpr(positive: Tensor, negative: Tensor, hits: Tensor | None = None) -> Tensor:
    """Return the mean of -ln sigma(r_i - r_j); positive (B,), negative (B, J).

    Rendle et al. (2009); Hidasi et al. (2016), "Session-based Recommendations with Recurrent Neural Networks", section 3.1.3.
    """
    return mean_kept(softplus(negative - positive[:, None]), hits)


def top1(positive: Tensor, negative: Tensor, hits: Tensor | None = None) -> Tensor:
    """Return the mean of sigma(r_j - r_i) + sigma(r_j^2); positive (B,), negative (B, J).

    Hidasi et al. (2016), section 3.1.3.
    """
    each = sigmoid(negative - positive[:, None]) + sigmoid(negative**2)
    return mean_kept(each, hits)


def bpr_max(
    positive: Tensor, negative: Tensor, reg: float = 0.0, hits: Tensor | None = None
) -> Tensor:
    """Return the mean of -ln sum_j s_j sigma(r_i - r_j) + reg sum_j s_j r_j^2, s = softmax over negatives.

    Hidasi & Karatzoglou (2018), "Recurrent Neural Networks with Top-k Gains for Session-based Recommendations",
    Eq. 7 and 9. positive (B,), negative (B, J).
    """
    log_s = F.log_softmax(left_out(negative, hits), dim=1)  # (B, J)
    gain = torch.logsumexp(log_s + F.logsigmoid(positive[:, None] - negative), dim=1)
    penalty = (log_s.exp() * negative**2).sum(1)
    return mean_rows(-gain + reg * penalty, hits)


def top1_max(positive: Tensor, negative: Tensor, hits: Tensor | None = None) -> Tensor:
    """Return the mean of sum_j s_j (sigma(r_j - r_i) + sigma(r_j^2)), s = softmax over negatives.

    Hidasi & Karatzoglou (2018), Eq. 6. positive (B,), negative (B, J).
    """
    s = softmax(left_out(negative, hits))
    each = sigmoid(negative - positive[:, None]) + sigmoid(negative**2)
    return mean_rows((s * each).sum(1), hits)


def weighted_logistic(logit: Tensor, clicked: Tensor, watch_time: Tensor) -> Tensor:
    """Return the mean logistic loss with clicked impressions weighted by their watch time, others by 1.

    Covington, Adams & Sargin (2016), "Deep Neural Networks for YouTube Recommendations", section 4.2. The learned odds
    exp(logit) are then about the expected watch time of an impression. All shapes (B,); watch_time >= 0 is read where `clicked`.
    """
    gain = torch.where(clicked, watch_time * softplus(-logit), softplus(logit))
    return gain.mean()


def squared_error(predicted: Tensor, target: Tensor) -> Tensor:
    """Return the mean over rows of ||y - y'||^2; shapes (B, D).

    Van den Oord et al. (2013), Eq. 4.
    """
    return ((predicted - target) ** 2).sum(-1).mean()


def weighted_prediction_error(
    predicted: Tensor, gram: Tensor, user_factors: Tensor, users: Ragged
) -> Tensor:
    """Return the mean over items of sum over all users of c_ui (p_ui - x_u . y'_i)^2.

    Van den Oord et al. (2013), Eq. 5. Where p_ui = 0, c_ui = 1, so the sum is y' X'X y' and a
    correction for the users who took the item: cost B D^2 + nnz D, not B U D.

    Parameters
    ----------
    predicted : shape (B, D)
        y'_i.
    gram : shape (D, D)
        X'X over all users.
    user_factors : shape (U, D)
        X, fixed.
    users
        B rows: who took the item, with weights c_ui = 1 + alpha ln(1 + r_ui / eps).

    Raises
    ------
    ValueError
        If `users` have no weights.
    """
    if users.weights is None:
        raise ValueError("users must carry the weights c_ui")
    everyone = torch.einsum("bd,de,be->b", predicted, gram, predicted)
    row = torch.repeat_interleave(
        torch.arange(len(predicted), device=predicted.device), users.lengths.long()
    )  # (nnz,)
    score = (user_factors[users.ids.long()] * predicted[row]).sum(-1)  # (nnz,)
    c = users.weights.to(score.dtype)
    taken = c * (1 - score) ** 2 - score**2
    return (everyone.sum() + taken.sum()) / len(predicted)


def accidental_hits(positive: Tensor, sampled: Tensor) -> Tensor:
    """Return where a negative is the row's own item, bool (B, S); positive (B,), sampled (S,) or (B, S)."""
    return positive[:, None] == sampled


def left_out(scores: Tensor, hits: Tensor | None) -> Tensor:
    """Return `scores` with `hits` so low that no softmax sees them."""
    return scores if hits is None else scores.masked_fill(hits, LOWEST)


def mean_kept(each: Tensor, hits: Tensor | None) -> Tensor:
    """Return the mean of `each` where not `hits`; 0 if nothing is left."""
    if hits is None:
        return each.mean()
    return each.masked_fill(hits, 0).sum() / (~hits).sum().clamp(min=1)


def mean_rows(each: Tensor, hits: Tensor | None) -> Tensor:
    """Return the mean of `each` (B,) with rows whose negatives are all `hits` (B, J) as zero."""
    return each.mean() if hits is None else each.masked_fill(hits.all(1), 0).mean()
