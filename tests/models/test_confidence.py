"""The updates that CTR and CDL share, against the equations of the papers written out."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from twofold.models.mapping import _confidence
from twofold.models.mapping._confidence import Side, Weights

WEIGHTS = Weights(seen=1.0, unseen=0.05, user_reg=0.3, item_reg=4.0)


@pytest.fixture
def given():
    rng = np.random.default_rng(0)
    r = (rng.random((9, 7)) < 0.4).astype(np.float32)
    r[:, 3] = 0  # an item that nobody has
    u, v, theta = (rng.normal(size=shape).astype(np.float32) for shape in ((9, 5), (7, 5), (7, 5)))
    return csr_array(r), u, v, theta


def test_users_are_equation_7(given):
    pairs, _, v, _ = given
    r = pairs.toarray().astype(np.float64)
    inside = r.any(axis=0)
    found = _confidence.solve_users(Side.of(pairs), v, inside.astype(np.float32), WEIGHTS)
    y = v[inside].astype(np.float64)
    for i, row in enumerate(r[:, inside]):
        c = np.diag(np.where(row > 0, WEIGHTS.seen, WEIGHTS.unseen))
        left = y.T @ c @ y + WEIGHTS.user_reg * np.eye(5)
        np.testing.assert_allclose(found[i], np.linalg.solve(left, y.T @ c @ row), atol=2e-5)


def test_an_item_outside_the_matrix_counts_where_a_user_has_it(given):
    _, _, v, _ = given
    inside = np.ones(7, np.float32)
    inside[3] = 0
    mine = np.array([0, 0, 1, 1, 0, 0, 0], np.float64)
    found = _confidence.solve_users(Side.of(csr_array(mine[None])), v, inside, WEIGHTS)
    y = v.astype(np.float64)
    c = np.diag(np.where(mine > 0, WEIGHTS.seen, WEIGHTS.unseen * inside))
    left = y.T @ c @ y + WEIGHTS.user_reg * np.eye(5)
    np.testing.assert_allclose(found[0], np.linalg.solve(left, y.T @ c @ mine), atol=2e-5)


@pytest.mark.parametrize("strength", [0.1, 4.0, 1000.0])
def test_items_are_equation_8_with_the_confidences_of_the_item(given, strength):
    pairs, u, _, theta = given
    weights = WEIGHTS._replace(item_reg=strength)
    inside = (pairs.toarray().any(axis=0)).astype(np.float32)
    inside[2] = 1
    found = _confidence.solve_items(Side.of(csr_array(pairs.T)), u, theta, inside, weights)
    x = u.astype(np.float64)
    for j, column in enumerate(pairs.toarray().T.astype(np.float64)):
        c = np.diag(np.where(column > 0, weights.seen, weights.unseen))
        right = x.T @ c @ column + strength * theta[j]
        wanted = np.linalg.solve(x.T @ c @ x + strength * np.eye(5), right)
        np.testing.assert_allclose(found[j], wanted if column.any() else theta[j], atol=1e-4)


def test_more_factors_than_rows_are_solved_in_the_span_of_the_rows(monkeypatch):
    rng = np.random.default_rng(1)
    r = (rng.random((9, 7)) < 0.4).astype(np.float32)
    pairs, d = csr_array(r), 40
    u, v, theta = (rng.normal(size=(n, d)).astype(np.float32) for n in (9, 7, 7))
    inside = r.any(axis=0).astype(np.float32)
    inside[2] = 0
    widths = []
    plain = _confidence.solve
    monkeypatch.setattr(
        _confidence,
        "solve",
        lambda side, x, *rest: widths.append(x.shape[1]) or plain(side, x, *rest),
    )
    found = _confidence.solve_users(Side.of(pairs), v, inside, WEIGHTS)
    y = v.astype(np.float64)
    for i, row in enumerate(r):
        c = np.diag(np.where(row > 0, WEIGHTS.seen, WEIGHTS.unseen * inside))
        left = y.T @ c @ y + WEIGHTS.user_reg * np.eye(d)
        right = WEIGHTS.seen * y.T @ row
        np.testing.assert_allclose(found[i], np.linalg.solve(left, right), atol=1e-4)
    found = _confidence.solve_items(Side.of(csr_array(r.T)), u, theta, inside, WEIGHTS)
    x = u.astype(np.float64)
    for j, column in enumerate(r.T):
        c = np.diag(np.where(column > 0, WEIGHTS.seen, WEIGHTS.unseen))
        left = x.T @ c @ x + WEIGHTS.item_reg * np.eye(d)
        wanted = np.linalg.solve(left, x.T @ c @ column + WEIGHTS.item_reg * theta[j])
        np.testing.assert_allclose(found[j], wanted if inside[j] else theta[j], atol=1e-4)
    assert widths == [16, 16]


def test_the_objective_is_its_formula_and_no_update_raises_it(given):
    pairs, u, v, theta = given
    r = pairs.toarray().astype(np.float64)
    inside = r.any(axis=0)
    c = np.where(r > 0, WEIGHTS.seen, WEIGHTS.unseen)[:, inside]
    wide = [one.astype(np.float64) for one in (u, v, theta)]
    wanted = 0.5 * (
        WEIGHTS.user_reg * (wide[0] ** 2).sum()
        + WEIGHTS.item_reg * ((wide[1] - wide[2]) ** 2).sum()
        + (c * (r[:, inside] - wide[0] @ wide[1][inside].T) ** 2).sum()
    )
    before = _confidence.objective(pairs, u, v, theta, inside, WEIGHTS)
    assert before == pytest.approx(wanted, rel=1e-9)
    for _ in range(4):
        v = _confidence.solve_items(Side.of(csr_array(pairs.T)), u, theta, inside, WEIGHTS)
        middle = _confidence.objective(pairs, u, v, theta, inside, WEIGHTS)
        u = _confidence.solve_users(Side.of(pairs), v, inside.astype(np.float32), WEIGHTS)
        after = _confidence.objective(pairs, u, v, theta, inside, WEIGHTS)
        assert after <= middle + 1e-6 <= before + 2e-6
        before = after
