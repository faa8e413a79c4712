"""Kernels of the sequence models against plain loops; the recurrences and the attention are held to their models' equations."""

import numpy as np
import pytest

from twofold.kernels import adagrad, hits, recurrent


@pytest.mark.parametrize("momentum", [0.0, 0.3])
def test_adagrad_moves_the_rows_of_the_batch_as_the_formula_says(momentum):
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 9, 30)
    gradient = rng.normal(size=(30, 5)).astype(np.float32)
    weight = rng.normal(size=(12, 5)).astype(np.float32)
    squares = rng.random((12, 5)).astype(np.float32)
    velocity = rng.normal(size=(12, 5)).astype(np.float32)
    wanted = [one.astype(np.float64) for one in (weight, squares, velocity)]
    for row in np.unique(ids):
        g = gradient[ids == row].astype(np.float64).sum(axis=0)
        wanted[1][row] += g**2
        step = -0.1 * g / np.sqrt(wanted[1][row])
        if momentum:
            step = wanted[2][row] = momentum * wanted[2][row] + step
        wanted[0][row] += step
    place = np.full(12, -1, np.int32)
    rows, total = np.empty(30, np.int64), np.empty_like(gradient)
    n = adagrad.gathered(ids, gradient, place, rows, total)
    assert sorted(rows[:n]) == np.unique(ids).tolist()
    assert (place == -1).all()
    adagrad.step_rows(rows[:n], total, weight, squares, velocity, 0.1, momentum)
    for found, one in zip((weight, squares, velocity), wanted):
        np.testing.assert_allclose(found, one, rtol=1e-5, atol=1e-6)


def test_accidental_pairs_are_all_places_where_ids_are_equal():
    rng = np.random.default_rng(0)
    own, asked = rng.integers(0, 7, 11), rng.integers(0, 7, 20)
    head = np.full(7, -1, np.int64)
    rows, columns = hits.accidental_pairs(own, asked, head)
    assert (head == -1).all()
    found = np.zeros((11, 20), bool)
    found[rows, columns] = True
    assert len(rows) == found.sum()
    np.testing.assert_array_equal(found, own[:, None] == asked)


@pytest.mark.parametrize("size", [1, 3, 4, 9])
def test_a_product_is_added_to_the_gates(size):
    rng = np.random.default_rng(size)
    h, weight = rng.normal(size=size), rng.normal(size=(size, 7))
    gates = np.ones(4, np.float32)
    recurrent.add_product(h.astype(np.float32), weight.astype(np.float32), 2, gates)
    np.testing.assert_allclose(gates, 1 + h @ weight[:, 2:6], rtol=1e-4)
