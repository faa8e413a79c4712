"""A pass of multi-context CBOW against the objective in float64, its finite differences and literal AdaGrad steps."""

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twofold.kernels import _context_arrays as arrays
from twofold.kernels import context_cbow as kernels
from twofold.kernels.infer_contexts import infer_users
from twofold.models.sequence._context_outputs import outputs_of
from twofold.models.sequence.token2vec import HierarchicalSoftmax, NegativeSampling

RATE, TINY, SEED = 0.1, 1e-8, 3


def random_case(seed, m=5, n=7, kinds=3, d=4, how=None):
    """Examples of `kinds` contexts with 0 ... 2 features each, among 4 features a kind, and random tables."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 3, (n, kinds))
    ends = np.concatenate([[0], np.cumsum(counts.ravel())]).astype(np.int64)
    kind = np.repeat(np.tile(np.arange(kinds), n), counts.ravel())
    feature = (kind * 4 + rng.integers(0, 4, len(kind))).astype(np.int32)
    target = rng.integers(0, m, n).astype(np.int32)
    outputs, rows = outputs_of(how or HierarchicalSoftmax(), np.arange(1, m + 1, dtype=np.float32))
    tables = arrays.Tables(
        rng.normal(size=(4 * kinds, d)).astype(np.float32),
        rng.random(4 * kinds).astype(np.float32),
        rng.normal(size=(rows, d)).astype(np.float32),
        rng.random(rows).astype(np.float32),
        rng.normal(0, 0.3, kinds).astype(np.float32),
        rng.random(kinds).astype(np.float32),
    )
    ones = np.ones(m, np.float32)
    return (
        arrays.Examples(target, ends, feature, ones, np.ones(kinds, np.float32)),
        outputs,
        tables,
    )


def answers(target, outputs, example=0):
    """Return the outputs of a target with the sign that each should have."""
    if len(outputs.path_ends):
        way = slice(outputs.path_ends[target], outputs.path_ends[target + 1])
        return list(zip(outputs.node[way], 1.0 - 2.0 * outputs.bit[way], strict=True))
    rows, labels = np.zeros(outputs.negatives + 1, np.int32), np.zeros(outputs.negatives + 1, np.float32)  # fmt: skip
    kernels.choose_outputs(target, np.uint64(kernels.stream(SEED, example)), outputs, rows, labels)
    assert rows[0] == target
    return [(target, 1.0)] + [(row, -1.0) for row in rows[1:]]


def weights(example, examples, share, by_feature):
    """Return what one feature of each kind counts for."""
    kinds = len(share)
    counts = np.diff(examples.ends[example * kinds : example * kinds + kinds + 1])
    if by_feature:
        return np.where(counts > 0, 1 / max(counts.sum(), 1), 0.0)
    return np.where(counts > 0, np.exp(share) / (kinds * np.maximum(counts, 1)), 0.0)


def objective(which, examples, outputs, context, output, share, by_feature, reg=0.0):
    """Return the sum of ln sigma over the examples `which`, literally, and the penalty on the rows touched."""
    total, kinds = 0.0, len(share)
    touched, leaves = set(), set()
    for e in which:
        each = weights(e, examples, share, by_feature)
        h, told = np.zeros(context.shape[1]), 0
        for k in range(kinds):
            for at in range(examples.ends[e * kinds + k], examples.ends[e * kinds + k + 1]):
                h = h + each[k] * context[examples.feature[at]]
                touched.add(int(examples.feature[at]))
                told += 1
        if told:
            for row, sign in answers(examples.target[e], outputs, e):
                total -= np.log1p(np.exp(-sign * (output[row] @ h)))
                leaves.add(int(row))
    for rows, table in ((touched, context), (leaves, output)):
        total -= reg / 2 * sum(float(table[row] @ table[row]) for row in rows)
    return total


def differences(function, table, step=1e-5):
    """Return the gradient of `function` by central differences, in the shape of `table`."""
    out = np.zeros_like(table)
    for at in np.ndindex(*table.shape):
        old = table[at]
        table[at] = old + step
        high = function()
        table[at] = old - step
        out[at] = (high - function()) / (2 * step)
        table[at] = old
    return out


def one_pass(examples, outputs, tables, size, by_feature=False, learn=True, reg=0.0):
    order = np.arange(len(examples.target), dtype=np.int32)
    places = arrays.room(size, examples, outputs, tables)
    return kernels.context_epoch(
        order, examples, outputs, tables, *places, by_feature, learn, SEED, RATE, RATE, reg
    )


@pytest.mark.parametrize("by_feature", [False, True])
@pytest.mark.parametrize("how", [HierarchicalSoftmax(), NegativeSampling(count=3)])
@pytest.mark.parametrize("reg", [0.0, 0.05])
def test_a_batch_moves_along_the_finite_differences_of_the_objective(by_feature, how, reg):
    examples, outputs, tables = random_case(1, m=6, how=how)
    wide = [one.astype(np.float64) for one in (tables.context, tables.output, tables.share)]
    before = [one.copy() for one in tables]
    n = len(examples.target)

    def value():
        return objective(range(n), examples, outputs, *wide, by_feature, reg)

    slopes = [differences(value, one) for one in wide]
    loss = one_pass(examples, outputs, tables, n, by_feature=by_feature, reg=reg)
    told = np.diff(examples.ends[::3]) > 0
    plain = objective(range(n), examples, outputs, *wide, by_feature)
    assert loss == pytest.approx(-plain / told.sum(), rel=1e-5)
    for at, gradient in zip((0, 2), slopes, strict=False):
        squares = before[at + 1] + (gradient**2).mean(axis=1)
        np.testing.assert_allclose(tables[at + 1], squares, rtol=1e-4, atol=1e-6)
        moved = before[at] + RATE * gradient / np.sqrt(squares + TINY)[:, None]
        np.testing.assert_allclose(tables[at], moved, rtol=1e-4, atol=1e-5)
    squares = before[5] + slopes[2] ** 2
    np.testing.assert_allclose(
        tables.share, before[4] + RATE * slopes[2] / np.sqrt(squares + TINY), rtol=1e-4, atol=1e-5
    )
    assert by_feature == np.array_equal(tables.share, before[4])


def literal_pass(examples, outputs, tables, size, by_feature):
    """Return context and output tables after a pass, batch by batch in float64: the twin of `context_epoch`."""
    context, context_squares, output, output_squares, share, _ = (
        one.astype(np.float64) for one in tables
    )
    kinds, n = len(share), len(examples.target)
    for start in range(0, n, size):
        sums, nodes = np.zeros_like(context), np.zeros_like(output)
        for e in range(start, min(start + size, n)):
            each = weights(e, examples, share, by_feature)
            rows = [
                (examples.feature[at], each[k])
                for k in range(kinds)
                for at in range(examples.ends[e * kinds + k], examples.ends[e * kinds + k + 1])
            ]
            if not rows:
                continue
            h = sum(weight * context[row] for row, weight in rows)
            pull = np.zeros_like(h)
            for row, sign in answers(examples.target[e], outputs, e):
                slope = sign / (1 + np.exp(sign * (output[row] @ h)))
                nodes[row] += slope * h
                pull += slope * output[row]
            for row, weight in rows:
                sums[row] += weight * pull
        for table, squares, gradient in (
            (context, context_squares, sums),
            (output, output_squares, nodes),
        ):
            squares += (gradient**2).mean(axis=1)
            table += RATE * gradient / np.sqrt(squares + TINY)[:, None]
    return context, output


@given(
    seed=st.integers(0, 999), size=st.integers(1, 9), by_feature=st.booleans(), tree=st.booleans()
)
def test_a_pass_is_one_literal_step_after_the_other(seed, size, by_feature, tree):
    how = HierarchicalSoftmax() if tree else NegativeSampling(count=4)
    examples, outputs, tables = random_case(seed, how=how)
    expected = literal_pass(examples, outputs, tables, size, by_feature)
    one_pass(examples, outputs, tables, size, by_feature=by_feature, learn=False)
    for got, wanted in zip((tables.context, tables.output), expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-3, atol=1e-4)


def test_the_number_of_threads_changes_nothing():
    found = []
    threads = numba.get_num_threads()
    try:
        for count in (threads, 1):
            numba.set_num_threads(count)
            examples, outputs, tables = random_case(2, m=9, n=200, how=NegativeSampling(count=4))
            one_pass(examples, outputs, tables, 64)
            found.append([one.tobytes() for one in tables])
    finally:
        numba.set_num_threads(threads)
    assert found[0] == found[1]


def test_negatives_are_drawn_by_the_power_of_the_counts():
    counts = np.array([1, 4, 16, 64], np.float32)
    outputs, _ = outputs_of(NegativeSampling(count=5, exponent=0.5), counts)
    rows, labels, drawn = np.zeros(6, np.int32), np.zeros(6, np.float32), []
    for example in range(4000):
        state = np.uint64(kernels.stream(1, example))
        assert kernels.choose_outputs(2, state, outputs, rows, labels) == 6
        assert (rows[0], labels[0]) == (2, 1)
        assert not labels[1:].any()
        drawn += rows[1:].tolist()
    share = np.bincount(drawn, minlength=4) / len(drawn)
    np.testing.assert_allclose(share, np.array([1, 2, 4, 8]) / 15, atol=0.012)


def test_withheld_contexts_and_thinned_items_teach_nothing():
    examples, outputs, tables = random_case(4, n=50)
    feature = examples.feature
    held = examples._replace(told=np.array([1, 1, 0], np.float32))
    alone = np.array([examples.ends[e * 3] == examples.ends[e * 3 + 2] for e in range(50)])
    third = np.concatenate(
        [feature[held.ends[e * 3 + 2] : held.ends[e * 3 + 3]] for e in np.flatnonzero(~alone)]
    )
    kept = np.setdiff1d(third, np.concatenate([feature[held.ends[e * 3] : held.ends[e * 3 + 3]] for e in np.flatnonzero(alone)] or [third[:0]]))  # fmt: skip
    before = tables.context.copy()
    one_pass(held, outputs, tables, 8)
    changed = (tables.context != before).any(axis=1)
    assert not changed[kept].any()
    assert changed[:8].any()
    gone = examples._replace(keep=np.zeros(5, np.float32))
    before = [one.copy() for one in tables]
    assert one_pass(gone, outputs, tables, 8) == 0
    for now, old in zip(tables, before, strict=True):
        np.testing.assert_array_equal(now, old)


def test_an_inferred_user_is_where_no_direction_explains_the_history_better():
    rng = np.random.default_rng(0)
    outputs, rows = outputs_of(HierarchicalSoftmax(), np.arange(1, 7, dtype=np.float32))
    table = rng.normal(size=(rows, 3)).astype(np.float32)
    item, share = np.array([0, 3, 3, 5, 1], np.int32), np.full(5, 0.5, np.float32)
    base, out = rng.normal(size=(5, 3)).astype(np.float32), np.zeros((2, 3), np.float32)
    indptr = np.array([0, 5, 5], np.int64)
    infer_users(indptr, item, base, share, outputs, table, 6, 400, 0.5, 0.0, 0.1, out)

    def value(u):
        total = -5 * 0.05 * (u @ u)
        for t in range(5):
            for row, sign in answers(item[t], outputs):
                total -= np.log1p(np.exp(-sign * (table[row] @ (base[t] + share[t] * u))))
        return total

    def slope(at):
        at = at.astype(np.float64)
        return np.linalg.norm(differences(lambda: value(at), at))

    assert slope(out[0]) < 0.05 * slope(np.zeros(3))
    assert not out[1].any()
