"""The sum of trees against a walk in plain Python, and against scikit-learn."""

import numpy as np
import pytest

from twofold.kernels.trees import add_trees

SPLIT = (  # two trees: x0 <= 0 ? 1 : (x1 <= 2 ? 10 : 100), and a leaf alone
    np.array([0, 5]),
    np.array([1, 0], np.int32),
    np.array([0, 0, 1, 0, 0, 0], np.int32),
    np.array([0.0, 0, 2, 0, 0, 0]),
    np.array([1, -1, 3, -1, -1, -1], np.int32),
    np.array([2, -1, 4, -1, -1, -1], np.int32),
    np.array([0, 1, 0, 10, 100, 7], np.float32),
)


def twin(x, roots, output, feature, threshold, left, right, value, out):
    for row in range(len(x)):
        for root, column in zip(roots, output, strict=True):
            node = root
            while left[node] >= 0:
                low = x[row, feature[node]] <= threshold[node]
                node = root + (left if low else right)[node]
            out[row, column] += value[node]


def test_a_row_ends_in_the_leaf_that_its_values_lead_to():
    x = np.array([[0, 9], [1, 2], [1, 3]], np.float32)
    out = np.zeros((3, 2), np.float32)
    add_trees(x, *SPLIT, out)
    assert out.tolist() == [[7, 1], [7, 10], [7, 100]]


def test_kernel_and_twin_agree_on_trees_of_a_library():
    tree = pytest.importorskip("sklearn.tree")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 5)).astype(np.float32)
    y = np.sin(x[:, 0]) + x[:, 3] ** 2
    fitted = [
        tree.DecisionTreeRegressor(max_leaf_nodes=9, random_state=one).fit(x, y + one)
        for one in range(3)
    ]
    parts = [one.tree_ for one in fitted]
    given = (
        np.concatenate([[0], np.cumsum([one.node_count for one in parts])])[:-1],
        np.array([0, 1, 0], np.int32),
        np.concatenate([np.maximum(one.feature, 0) for one in parts]).astype(np.int32),
        np.concatenate([one.threshold for one in parts]),
        np.concatenate([one.children_left for one in parts]).astype(np.int32),
        np.concatenate([one.children_right for one in parts]).astype(np.int32),
        np.concatenate([one.value[:, 0, 0] for one in parts]).astype(np.float32),
    )
    ours, plain = np.zeros((200, 2), np.float32), np.zeros((200, 2), np.float32)
    add_trees(x, *given, ours)
    twin(x, *given, plain)
    np.testing.assert_array_equal(ours, plain)
    first, second, third = (one.predict(x) for one in fitted)
    np.testing.assert_allclose(ours[:, 0], first + third, rtol=1e-5)
    np.testing.assert_allclose(ours[:, 1], second, rtol=1e-5)
