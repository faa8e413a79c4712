"""What the compiler makes of a kernel is what its Python body does."""

import numpy as np
import pytest

from twofold.kernels import (
    co_occurrence,
    fm_blocks,
    fm_sgd,
    gaussian_rows,
    mf_momentum,
    mf_sgd,
)
from twofold.kernels import ranking_metrics as metrics


def add_row(v, row, x, q, s):
    q += x * v[row]
    s += (x * v[row]) ** 2


def shift_row(v, row, keep, pull, q):
    v[row] = keep * v[row] - pull * q


def square_less(q, s):
    return q @ q - s.sum()


def ragged(rng, n=6, m=5):
    """Ends, columns and values of sparse rows (n, m), distinct and ascending."""
    there = rng.random((n, m)) < 0.5
    indptr = np.concatenate([[0], np.cumsum(there.sum(axis=1))]).astype(np.int64)
    item = np.nonzero(there)[1].astype(np.int32)
    return indptr, item, rng.normal(size=len(item)).astype(np.float32)


def draws(rng, *shapes, kind=np.float32):
    return [rng.normal(size=shape).astype(kind) for shape in shapes]


def conditional(rng):
    indptr, item, pull = ragged(rng)
    (v,) = draws(rng, (5, 3))
    out = np.zeros((6, 3), np.float32)
    return indptr, item, np.abs(pull), pull, v, np.eye(3), np.ones(3), 0.1, 3, out


def block(rng):
    user, item = (rng.integers(0, n, 20).astype(np.int32) for n in (6, 5))
    return user, item, *draws(rng, 20, (6, 3), (5, 3), 6, 5), 0.05, 0.1, True


def gradients(rng):
    indptr, item, value = ragged(rng)
    row = np.arange(6, dtype=np.int32)
    u, v, velocity = draws(rng, (6, 3), (5, 3), (6, 3))
    slope, loss = np.zeros(len(item), np.float32), np.zeros(6)
    return indptr, row, 1, 5, item, value, u, v, 4.0, 0.1, velocity, slope, loss


def factor(rng):
    """A block of 6 rows and 5 features, of which each row has some."""
    colptr, row, x = ragged(rng, 5, 6)
    indptr = np.arange(0, 14, 2)
    sums, q, v = draws(rng, (6, 4), 6, 5, kind=np.float64)
    mean, noise = draws(rng, 5, 5, kind=np.float64)
    return colptr, row, x.astype(float), indptr, sums, q, 1.3, mean, np.ones(5), noise, v, np.zeros((6, 2))  # fmt: skip


def linear(rng):
    colptr, row, x, indptr, sums, _, alpha, mean, precision, noise, w, shift = factor(rng)
    return colptr, row, x, indptr, sums, alpha, mean, precision, noise, w, shift


def events(rng):
    indptr, feature, x = ragged(rng, 8, 5)
    rows = rng.integers(0, 8, (2, 12)).astype(np.int32)
    target, w, v = draws(rng, 12, 5, (5, 3))
    w0 = np.zeros(1, np.float32)
    return rows, target, indptr, feature, x, False, 0.01, 0.1, 0.1, w0, w, v


def largest(rng):
    scores = rng.integers(-2, 4, (4, 9)).astype(np.float32)
    return scores, 3, np.zeros((4, 3), np.int32), np.zeros((4, 3), np.float32)


def lists(rng):
    indptr, relevant, _ = ragged(rng, 6, 9)
    made = np.array([rng.permutation(9)[:4] for _ in range(6)], np.int32)
    codes, cuts = np.arange(7), np.array([1, 2, 3, 4, 4, 3, 2])
    discount = 1 / np.log2(np.arange(4) + 2)
    ideal = np.concatenate([[0], np.cumsum(discount)])
    return made, indptr, relevant, codes, cuts, discount, ideal, np.zeros((7, 6))


KERNELS = {
    "conditional_rows": (gaussian_rows.conditional_rows, conditional),
    "sgd_block": (mf_sgd.sgd_block, block),
    "user_gradients": (mf_momentum.user_gradients, gradients),
    "sweep_factor": (fm_blocks.sweep_factor, factor),
    "sweep_linear": (fm_blocks.sweep_linear, linear),
    "fm_sgd_epoch": (fm_sgd.fm_sgd_epoch, events),
    "largest": (co_occurrence.largest, largest),
    "list_metrics": (metrics.list_metrics, lists),
}


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("seed", range(3))
def test_the_compiled_kernel_does_what_its_body_says(name, seed, monkeypatch):
    compiled, make = KERNELS[name]
    # Compiled first: the inner product exists in compiled code only, and NumPy's stands in for it.
    compiled(*make(np.random.default_rng(seed)))
    for step in (add_row, shift_row, square_less):
        monkeypatch.setattr(fm_sgd, step.__name__, step)
    for module in (gaussian_rows, mf_momentum, mf_sgd):
        monkeypatch.setattr(module, "dot", np.dot)
    one, other = (make(np.random.default_rng(seed)) for _ in range(2))
    before = [part.copy() if isinstance(part, np.ndarray) else part for part in one]
    returned = compiled(*one), compiled.py_func(*other)
    changed = False
    for mine, plain, old in zip(one, other, before, strict=True):
        if isinstance(mine, np.ndarray):
            np.testing.assert_allclose(mine, plain, rtol=1e-4, atol=1e-5)
            changed |= not np.array_equal(mine, old, equal_nan=True)
    assert changed, "nothing was computed"
    if returned[1] is not None:
        assert returned[0] == pytest.approx(returned[1], rel=1e-4)
