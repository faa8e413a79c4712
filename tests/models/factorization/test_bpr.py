"""BPR against literal gradient steps in float64, its own criterion, and real listening."""

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import random_array

import twofold as tw
from twofold.kernels import bpr_sgd
from twofold.models.factorization.bpr import BPR, PASSES, Course, Popular, running_weights
from twofold.testing import planted_log


def one_missing(n, m):
    """Users who took every item but one: each triple is then known, whatever is drawn."""
    missing = np.arange(n) % m
    item = np.concatenate([np.delete(np.arange(m), one) for one in missing]).astype(np.int32)
    return np.arange(n + 1) * (m - 1), item, missing


def epoch(indptr, item, w, h, bias, rate, regs, biased, groups=1, seed=5):
    """Run the kernel over copies, with all items in `groups` equal groups."""
    n, m = len(indptr) - 1, len(h)
    members = np.arange(m, dtype=np.int32)
    start = np.linspace(0, m, groups + 1).astype(np.int64)
    group_of = np.repeat(np.arange(groups, dtype=np.int32), np.diff(start))
    user_start = np.linspace(0, n, groups + 1).astype(np.int64)
    blocks = np.zeros(groups**2 + 1, np.int64)
    users, items = np.empty_like(item), np.empty_like(item)
    bpr_sgd.cut_blocks(indptr, item, user_start, group_of, groups, blocks, users, items)
    out = [one.astype(np.float32) for one in (w, h, bias)]
    loss = np.zeros(groups)
    bpr_sgd.bpr_epoch(
        blocks, users, items, np.arange(groups), members, start, np.zeros(0), seed,
        *out, rate, np.array(regs, np.float32), biased, np.full((groups, m), -1, np.int32), loss,
    )  # fmt: skip
    return out, loss, (blocks, users, items)


@given(seed=st.integers(0, 999), n=st.integers(1, 6), m=st.integers(2, 5), biased=st.booleans())
def test_an_epoch_is_the_papers_update_after_the_other(seed, n, m, biased):
    indptr, item, missing = one_missing(n, m)
    rng = np.random.default_rng(seed)
    w, h, bias = rng.normal(size=(n, 3)), rng.normal(size=(m, 3)), rng.normal(size=m)
    rate, regs = 0.1, (0.3, 0.2, 0.1, 0.05)
    out, loss, _ = epoch(indptr, item, w, h, bias, rate, regs, biased)
    total = 0.0
    for u in range(n):
        for i in item[indptr[u] : indptr[u + 1]]:
            j = missing[u]
            x = bias[i] - bias[j] + w[u] @ (h[i] - h[j])
            total += np.log1p(np.exp(-x))
            e = 1 / (1 + np.exp(x))
            w_u, h_i, h_j = w[u].copy(), h[i].copy(), h[j].copy()
            w[u] += rate * (e * (h_i - h_j) - regs[0] * w_u)
            h[i] += rate * (e * w_u - regs[1] * h_i)
            h[j] += rate * (-e * w_u - regs[2] * h_j)
            if biased:
                bias[i] += rate * (e - regs[3] * bias[i])
                bias[j] += rate * (-e - regs[3] * bias[j])
    for got, expected in zip(out, (w, h, bias), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(loss.sum(), total, rtol=1e-5)


@given(seed=st.integers(0, 999), n=st.integers(3, 30), groups=st.integers(1, 3))
def test_blocks_hold_every_pair_once(seed, n, groups):
    rng = np.random.default_rng(seed)
    taken = rng.random((n, 12)) < 0.4
    indptr = np.concatenate([[0], np.cumsum(taken.sum(axis=1))])
    item = np.nonzero(taken)[1].astype(np.int32)
    _, _, (blocks, users, items) = epoch(
        indptr, item, np.zeros((n, 2)), np.zeros((12, 2)), np.zeros(12), 0.1, (0,) * 4, True, groups
    )
    assert sorted(zip(users, items, strict=True)) == sorted(zip(*np.nonzero(taken), strict=True))
    size, bounds = 12 // groups, np.linspace(0, n, groups + 1).astype(int)
    for a in range(groups):
        for b in range(groups):
            inside = slice(blocks[a * groups + b], blocks[a * groups + b + 1])
            assert np.all((bounds[a] <= users[inside]) & (users[inside] < bounds[a + 1]))
            assert np.all(items[inside] // size == b)
            assert np.all(np.diff(users[inside]) >= 0)


@pytest.mark.parametrize("exponent", [None, 1.0])
def test_unobserved_items_are_drawn_as_declared(exponent):
    popularity = np.array([1, 2, 4, 8, 16], np.float32)
    model = BPR() if exponent is None else BPR(negatives=Popular(exponent=exponent))
    cumulative = running_weights(model, popularity, np.array([0, 5]))
    members, seen = np.arange(5, dtype=np.int32), np.full(5, -1, np.int32)
    seen[3] = 7
    drawn = [
        bpr_sgd.draw(np.uint64(s * 1_000_003), members, cumulative, seen, 7) for s in range(20_000)
    ]
    expected = np.ones(5) if exponent is None else popularity.copy()
    expected[3] = 0
    share = np.bincount(drawn, minlength=5) / len(drawn)
    np.testing.assert_allclose(share, expected / expected.sum(), atol=0.012)


def test_running_weights_begin_anew_in_every_group():
    model = BPR(negatives=Popular(exponent=1))
    found = running_weights(model, np.array([1, 2, 3, 4], np.float32), np.array([0, 1, 4]))
    np.testing.assert_array_equal(found, [1, 2, 5, 9])


def test_somebody_with_everything_teaches_nothing():
    log = {"u": [1, 1, 1, 2], "i": ["a", "b", "c", "a"]}
    data = tw.Dataset.from_frames(log, user="u", item="i")
    model = BPR(factors=2, epochs=5).fit(data, rng=0)
    again = BPR(factors=2, epochs=1).fit(data, rng=0)
    np.testing.assert_array_equal(model.user_factors[0], again.user_factors[0])
    assert model.recommend(users=[1], k=2).is_empty()
    assert (
        not model.recommend(histories=[["a", "b", "c"]], exclude_seen=False)["score"]
        .is_null()
        .any()
    )


@pytest.mark.parametrize(
    ("n_users", "n_items", "share"),
    [(900, 1600, 0.05), (2000, 4000, 0.002), (2000, 4000, 0.0003), (300, 200, 0.04)],
)
def test_the_defaults_are_those_of_the_size_of_the_log(n_users, n_items, share):
    rows = random_array((n_users, n_items), density=share, format="csr", rng=0)
    found = Course.of(BPR(), rows)
    reg = 0.01 * (20_000 / n_items) ** 0.25
    np.testing.assert_allclose(found.regs, [reg, reg, reg, 0.01], rtol=1e-6)
    moved = found.epochs * rows.nnz / max(n_users, n_items) * 0.05 * reg
    assert moved == pytest.approx(1, rel=0.02) or found.epochs == PASSES[moved < 1]
    told = Course.of(BPR(epochs=7, reg_user=0, reg_positive=1, reg_negative=2), rows)
    assert (told.epochs, told.regs[:3].tolist()) == (7, [0, 1, 2])


def test_the_number_of_threads_changes_nothing():
    data = planted_log()
    before = numba.get_num_threads()
    one = BPR(factors=4, epochs=3).fit(data, rng=1)
    try:
        numba.set_num_threads(1)
        two = BPR(factors=4, epochs=3).fit(data, rng=1)
    finally:
        numba.set_num_threads(before)
    assert one.item_factors.tobytes() == two.item_factors.tobytes()
    assert one.user_factors.tobytes() == two.user_factors.tobytes()


def test_folding_in_finds_what_the_criterion_asks_for():
    """The averaged ascent ends where no direction of w_u raises the expected criterion much."""
    model = BPR(factors=3, epochs=400, learning_rate=0.05, reg_user=0.05).fit(planted_log(), rng=0)
    history = model.memory.history.take(np.array([0]))
    h, bias = model.similarity_vectors.astype(float), model.item_factors[:, -1].astype(float)
    taken = np.unique(history.item)
    others = np.setdiff1d(np.arange(len(h)), taken)
    apart = (h[taken][:, None] - h[others][None]).reshape(-1, 3)
    ahead = (bias[taken][:, None] - bias[others][None]).ravel()

    def gradient(w):
        pull = 1 / (1 + np.exp(ahead + apart @ w))
        return (pull[:, None] * apart).mean(axis=0) - 0.05 * w

    found = model.fold_in(history)[0, :3].astype(float)
    assert np.linalg.norm(gradient(found)) < 0.1 * np.linalg.norm(gradient(np.zeros(3)))


@pytest.mark.data
def test_listening_is_ranked_far_better_than_by_popularity(real):
    data = real("hetrec-lastfm-2k")
    split = tw.split.random(data, test=0.1, validation=0.1, per_user=True, rng=0)
    ours = tw.evaluate(BPR().fit(split.train, rng=0), split, ["ndcg@10"])["ndcg@10"]
    popular = tw.evaluate(tw.models.Popularity().fit(split.train), split, ["ndcg@10"])["ndcg@10"]
    assert ours > 1.9 * popular
