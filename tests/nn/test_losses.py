"""Each loss against its equation in NumPy, and its gradient against finite differences."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from twofold.nn import losses  # noqa: E402
from twofold.nn.ragged import Ragged  # noqa: E402

B, J, D, M = 4, 3, 5, 6
HITS = np.array([[0, 1, 0], [0, 0, 0], [1, 1, 1], [0, 0, 1]], bool)


def normal(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def tensor(array):
    made = torch.from_numpy(np.array(array))
    return made.requires_grad_() if made.is_floating_point() else made


def agree(loss, expected, *arrays, **fixed):
    given = [tensor(one) for one in arrays]
    assert loss(*given, **fixed).item() == pytest.approx(expected, rel=1e-10)
    torch.autograd.gradcheck(lambda *inputs: loss(*inputs, **fixed), given)


def sigma(x):
    return 1 / (1 + np.exp(-x))


def cosine(a, b):
    return a @ b / np.sqrt((a @ a) * (b @ b))


def test_dssm_is_equations_5_to_7():
    query, positive, negative, gamma = normal(B, D), normal(B, D, seed=1), normal(B, J, D), 7.0
    total = 0.0
    for b in range(B):
        own = np.exp(gamma * cosine(query[b], positive[b]))
        others = sum(np.exp(gamma * cosine(query[b], one)) for one in negative[b])
        total -= np.log(own / (own + others))
    agree(losses.dssm_softmax, total / B, query, positive, negative, gamma=gamma)


def test_dssm_gives_a_gradient_for_an_empty_text():
    query = torch.zeros(1, D, requires_grad=True)
    loss = losses.dssm_softmax(query, torch.ones(1, D), torch.ones(1, J, D), 10.0)
    loss.backward()
    assert loss.item() == pytest.approx(np.log(1 + J))
    assert torch.isfinite(query.grad).all()


def test_full_softmax():
    scores, target = normal(B, M), np.array([0, 5, 2, 2])
    expected = np.mean([-np.log(np.exp(s[t]) / np.exp(s).sum()) for s, t in zip(scores, target)])
    agree(losses.full_softmax, expected, scores, target=torch.from_numpy(target))


def test_sampled_softmax_divides_by_q_and_leaves_hits_out():
    positive, sampled = normal(B), normal(B, J)
    q_positive, q = np.array([0.1, 0.2, 0.3, 0.4]), np.array([0.5, 0.2, 0.1])
    total = 0.0
    for b in range(B):
        own = np.exp(positive[b]) / q_positive[b]
        others = sum(np.exp(sampled[b, j]) / q[j] for j in range(J) if not HITS[b, j])
        total -= np.log(own / (own + others))
    agree(
        losses.sampled_softmax, total / B, positive, sampled, hits=torch.from_numpy(HITS),
        log_q_positive=torch.from_numpy(np.log(q_positive)), log_q_sampled=torch.from_numpy(np.log(q)),
    )  # fmt: skip


def test_sampled_softmax_with_all_items_and_their_counts_is_the_full_one():
    """Each item drawn n Q times: the corrected sum is the full sum."""
    scores = torch.from_numpy(normal(M))
    q = torch.tensor([1, 2, 3, 1, 2, 1], dtype=torch.float64) / 10
    drawn = torch.repeat_interleave(torch.arange(1, M), (10 * q[1:]).long())
    found = losses.sampled_softmax(
        scores[:1], scores[None, drawn], torch.log(1 / torch.tensor([10.0]).double()), torch.log(q[drawn])
    )  # fmt: skip
    assert found.item() == pytest.approx(-torch.log_softmax(scores, 0)[0].item(), rel=1e-10)


@pytest.mark.parametrize("weights", [None, np.array([1.0, 0.0, 2.5, 0.5])])
def test_in_batch_softmax(weights):
    scores, items, q = normal(B, B), np.array([3, 1, 3, 0]), np.array([0.3, 0.1, 0.3, 0.2])
    each = []
    for b in range(B):
        kept = [c for c in range(B) if c == b or items[c] != items[b]]
        each.append(
            -np.log(np.exp(scores[b, b]) / q[b] / sum(np.exp(scores[b, c]) / q[c] for c in kept))
        )
    fixed = {"items": torch.from_numpy(items), "log_q": torch.from_numpy(np.log(q))}
    fixed["weights"] = None if weights is None else torch.from_numpy(weights)
    agree(losses.in_batch_softmax, np.average(each, weights=weights), scores, **fixed)


@pytest.mark.parametrize("hits", [None, HITS])
def test_pairwise_losses(hits):
    positive, negative, reg = normal(B), normal(B, J), 0.3
    kept = np.ones((B, J), bool) if hits is None else ~hits
    bpr, top1, bpr_max, top1_max = [], [], [], []
    for b in range(B):
        r_i, r_j = positive[b], negative[b][kept[b]]
        bpr += list(-np.log(sigma(r_i - r_j)))
        top1 += list(sigma(r_j - r_i) + sigma(r_j**2))
        s = np.exp(r_j) / np.exp(r_j).sum() if len(r_j) else r_j
        gain = -np.log((s * sigma(r_i - r_j)).sum()) if len(r_j) else 0
        bpr_max.append(gain + reg * (s * r_j**2).sum())
        top1_max.append((s * (sigma(r_j - r_i) + sigma(r_j**2))).sum())
    fixed = {"hits": None if hits is None else torch.from_numpy(hits)}
    agree(losses.bpr, np.mean(bpr), positive, negative, **fixed)
    agree(losses.top1, np.mean(top1), positive, negative, **fixed)
    agree(losses.bpr_max, np.mean(bpr_max), positive, negative, reg=reg, **fixed)
    agree(losses.top1_max, np.mean(top1_max), positive, negative, **fixed)


def test_pairwise_losses_stay_finite_far_out():
    positive = torch.tensor([-200.0, 300.0], requires_grad=True)
    negative = torch.tensor([[200.0, -300.0], [-5.0, 5.0]], requires_grad=True)
    for loss in (losses.bpr, losses.top1, losses.bpr_max, losses.top1_max):
        found = torch.autograd.grad(loss(positive, negative), (positive, negative))
        assert all(torch.isfinite(one).all() for one in found), loss.__name__


def test_weighted_logistic():
    logit, clicked, time = normal(B), np.array([1, 0, 1, 0], bool), np.array([30.0, 9.0, 2.5, 0.0])
    p = sigma(logit)
    expected = np.mean(np.where(clicked, -time * np.log(p), -np.log(1 - p)))
    fixed = {"clicked": torch.from_numpy(clicked), "watch_time": torch.from_numpy(time)}
    agree(losses.weighted_logistic, expected, logit, **fixed)


def test_squared_error():
    a, b = normal(B, D), normal(B, D, seed=1)
    agree(losses.squared_error, ((a - b) ** 2).sum() / B, a, b)


def test_weighted_prediction_error_is_the_sum_over_all_users():
    n_users, x, y = 7, normal(7, D), normal(B, D)
    taken = np.random.default_rng(0).random((B, n_users)) < 0.4
    taken[1] = False
    c = np.where(taken, 1 + np.round(np.abs(normal(B, n_users)), 1), 1.0).astype(np.float32)
    expected = sum(
        c[i, u] * (taken[i, u] - x[u] @ y[i]) ** 2 for i in range(B) for u in range(n_users)
    )
    rows, users = np.nonzero(taken)
    indptr = np.concatenate([[0], np.cumsum(taken.sum(1))])
    fixed = {"users": Ragged.of(indptr, users, c[rows, users])}
    fixed |= {"gram": torch.from_numpy(x.T @ x), "user_factors": torch.from_numpy(x)}
    agree(losses.weighted_prediction_error, expected / B, y, **fixed)
    with pytest.raises(ValueError, match="weights c_ui"):
        losses.weighted_prediction_error(
            torch.zeros(B, D), torch.eye(D), torch.zeros(7, D), Ragged.of(indptr, users)
        )


def test_accidental_hits():
    found = losses.accidental_hits(torch.tensor([4, 2]), torch.tensor([2, 4, 4]))
    assert found.tolist() == [[False, True, True], [True, False, False]]
