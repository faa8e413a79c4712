"""Encoders against plain NumPy, their first weights, and their edges."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from twofold.errors import ConfigError, DataError  # noqa: E402
from twofold.nn.convolutions import MelCNN, TextConvolution  # noqa: E402
from twofold.nn.encoders import (  # noqa: E402
    MLP,
    Embeddings,
    Linear,
    SparseLinear,
)
from twofold.nn.ragged import Ragged  # noqa: E402


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def ragged(rows, weights=None):
    indptr = np.cumsum([0, *map(len, rows)])
    return Ragged.of(indptr, np.array([i for row in rows for i in row], np.int64), weights)


ROWS = [[3, 1, 3], [], [0], [2, 4, 1, 0]]


def test_taking_rows_of_a_ragged_array():
    weights = np.arange(8, dtype=np.float32)
    found = ragged(ROWS, weights).take(torch.tensor([3, 1, 0, 3]))
    assert found.ids.tolist() == [2, 4, 1, 0, 3, 1, 3, 2, 4, 1, 0]
    assert found.offsets.tolist() == [0, 4, 4, 7, 11]
    assert found.weights.tolist() == [4, 5, 6, 7, 0, 1, 2, 4, 5, 6, 7]
    none = ragged(ROWS).take(torch.tensor([], dtype=torch.int64))
    assert (len(none.ids), none.offsets.tolist()) == (0, [0])


def test_histories_up_to_a_moment():
    found = ragged(ROWS).cut(torch.tensor([0, 5]), torch.tensor([2, 5]))
    assert found.ids.tolist() == [3, 1]
    assert found.offsets.tolist() == [0, 2, 2]


@pytest.mark.parametrize(
    ("indptr", "ids", "weights", "said"),
    [
        ([0, 2, 1], [0, 1], None, "indptr must rise"),
        ([], [], None, "indptr must rise"),
        ([0, 1], [0, 1], None, "indptr must rise"),
        ([0, 1], [-1], None, "ids must be >= 0, found -1"),
        ([0, 1], [1], [np.nan], "weights must be 1 finite"),
    ],
)
def test_a_wrong_ragged_array_is_refused(indptr, ids, weights, said):
    given = None if weights is None else np.array(weights, np.float32)
    with pytest.raises(DataError, match=said):
        Ragged.of(np.array(indptr, np.int64), np.array(ids, np.int64), given)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("how", ["mean", "sum", "max"])
def test_pooling_is_that_of_numpy(how, sparse):
    table = Embeddings(5, 3, sparse=sparse, rng=seeded())
    if sparse and how == "max":
        with pytest.raises(ConfigError, match="allowed: 'mean', 'sum'"):
            table.pool(ragged(ROWS), how)
        return
    rows = table.weight.detach().numpy()
    found = table.pool(ragged(ROWS), how)
    expected = [getattr(rows[row], how)(0) if row else np.zeros(3) for row in ROWS]
    np.testing.assert_allclose(found.detach(), expected, rtol=1e-6, atol=1e-7)
    found.sum().backward()
    assert table.weight.grad.is_sparse == sparse


@pytest.mark.parametrize("sparse", [False, True])
def test_rows_of_bags_are_pooled_as_bags_of_their_own(sparse):
    table = Embeddings(5, 3, sparse=sparse, rng=seeded())
    bags, rows = ragged(ROWS, np.arange(8, dtype=np.float32)), torch.tensor([2, 0, 2])
    found = table.pool(bags, "sum", rows)
    torch.testing.assert_close(found, table.pool(bags.take(rows), "sum"))


def test_an_unknown_id_is_zero():
    table = Embeddings(5, 3, rng=seeded())
    found = table(torch.tensor([[-1, 2]]))
    assert found.shape == (1, 2, 3)
    assert not found[0, 0].any()
    assert torch.equal(found[0, 1], table.weight[2])


def test_weighted_rows_are_only_summed():
    bags = ragged(ROWS, np.ones(8, np.float32))
    with pytest.raises(ConfigError, match="'mean' for rows with weights"):
        Embeddings(5, 3, rng=seeded()).pool(bags, "mean")


def test_a_sparse_layer_is_a_dense_layer_on_counts():
    counts = np.random.default_rng(0).poisson(0.7, (6, 20)).astype(np.float32)
    counts[2] = 0
    layer = SparseLinear(20, 4, rng=seeded())
    layer.bias.data.normal_(generator=seeded(1))
    indptr = np.concatenate([[0], np.cumsum((counts > 0).sum(1))])
    found = layer(Ragged.of(indptr, np.nonzero(counts)[1], counts[counts > 0]))
    expected = counts @ layer.table.weight.detach().numpy() + layer.bias.detach().numpy()
    np.testing.assert_allclose(found.detach(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("activation", "bound"),
    [("tanh", np.sqrt(6 / 80)), ("sigmoid", 4 * np.sqrt(6 / 80)), ("relu", np.sqrt(6 / 50))],
)
def test_first_weights_are_uniform_within_the_bound_of_the_papers(activation, bound):
    weight = Linear(50, 30, activation=activation, rng=seeded()).weight.detach().numpy()
    assert 0.99 * bound < np.abs(weight).max() <= bound
    assert weight.std() == pytest.approx(bound / np.sqrt(3), rel=0.05)


def test_a_tower_is_its_layers():
    tower = MLP([3, 4, 2], activation="relu", output="tanh", rng=seeded())
    x = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    (w1, b1), (w2, b2) = (
        (one.weight.detach().numpy(), one.bias.detach().numpy()) for one in tower.layers
    )
    expected = np.tanh(np.maximum(x @ w1 + b1, 0) @ w2 + b2)
    np.testing.assert_allclose(tower(torch.from_numpy(x)).detach(), expected, rtol=1e-5, atol=1e-6)
    assert torch.equal(MLP([3], rng=seeded())(torch.ones(1, 3)), torch.ones(1, 3))


def test_hidden_units_are_dropped_and_outputs_are_not():
    tower = MLP([3, 400, 30], activation="relu", output="identity", dropout=0.5, rng=seeded())
    with torch.random.fork_rng():
        torch.manual_seed(0)
        found = tower(torch.ones(4000, 3)).detach()
    assert (found != 0).all()
    assert (found.std(0) > 0).all(), "every row has dropped other units"
    whole = tower.eval()(torch.ones(1, 3)).detach()
    torch.testing.assert_close(found.mean(0), whole[0], rtol=0, atol=0.1)


def test_a_layer_norm_stands_before_each_activation_and_nowhere_else():
    tower = MLP([3, 4, 2], activation="relu", layer_norm=True, rng=seeded())
    x = torch.randn(5, 3, generator=seeded())
    first, last = tower.layers
    hidden = x @ first.weight
    hidden = (hidden - hidden.mean(1, keepdim=True)) / (
        hidden.var(1, keepdim=True, unbiased=False) + 1e-5
    ).sqrt()
    torch.testing.assert_close(tower(x), torch.relu(hidden) @ last.weight)
    assert [name for name, _ in tower.named_parameters() if "norms" in name] == [
        "norms.0.weight",
        "norms.0.bias",
    ]


def test_dropout_is_for_training_only():
    tower = MLP([8, 64, 1], dropout=0.5, rng=seeded())
    x = torch.ones(1, 8)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        assert not torch.equal(tower(x), tower(x))
    tower.eval()
    assert torch.equal(tower(x), tower(x))


def test_first_weights_come_from_the_generator_alone():
    before = torch.get_rng_state()
    one, two = (MelCNN(4, n_bands=8, rng=seeded(5)).state_dict() for _ in range(2))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert torch.equal(before, torch.get_rng_state())


def convolved(encoder, texts, grams):
    """Shen et al. literally: dense counts, one matrix for the stacked window, a loop over positions."""
    window, filters, n_grams = encoder.window, encoder.filters, len(encoder.grams.weight)
    table = encoder.grams.weight.detach().numpy().reshape(n_grams, window, filters)
    w_c = table.transpose(1, 0, 2).reshape(window * n_grams, filters)
    b_c, w_s, b_s = (
        one.detach().numpy() for one in (encoder.bias, encoder.dense.weight, encoder.dense.bias)
    )
    out = []
    for text in texts:
        half = window // 2
        padded = np.zeros((len(text) + 2 * half, n_grams), np.float32)
        for t, word in enumerate(text):
            for gram, count in grams[word].items():
                padded[t + half, gram] = count
        h = [np.tanh(padded[t : t + window].ravel() @ w_c + b_c) for t in range(len(text))]
        v = np.max(h, axis=0) if h else np.zeros(filters)
        out.append(np.tanh(v @ w_s + b_s))
    return np.array(out)


@pytest.mark.parametrize("window", [1, 3, 5])
@pytest.mark.parametrize("texts", [[[0, 1, 2, 1], [], [3], [2, 2]], [[], []]])
def test_the_convolutional_path_is_the_paper(window, texts):
    grams = [{0: 1.0, 3: 2.0}, {1: 1.0}, {2: 1.0, 5: 1.0, 0: 1.0}, {}]
    weights = np.array([c for one in grams for c in one.values()], np.float32)
    encoder = TextConvolution(6, 4, filters=5, window=window, rng=seeded())
    encoder.bias.data.normal_(generator=seeded(1))
    found = encoder(ragged(texts), ragged(grams, weights))
    np.testing.assert_allclose(
        found.detach(), convolved(encoder, texts, grams), rtol=1e-4, atol=1e-5
    )
    found.sum().backward()
    assert torch.isfinite(encoder.grams.weight.grad).all()


def test_the_convolution_of_no_text_is_empty():
    encoder = TextConvolution(6, 4, filters=5, rng=seeded())
    assert encoder(ragged([]), ragged([[1]])).shape == (0, 4)


def test_an_even_window_is_refused():
    with pytest.raises(ConfigError, match="window got 2"):
        TextConvolution(6, window=2, rng=seeded())


def test_the_sound_path_layer_by_layer():
    encoder = MelCNN(
        3, n_bands=4, channels=(5, 6), pools=(2, 3), width=3, hidden=(7,), rng=seeded()
    )
    mel = np.random.default_rng(0).normal(size=(2, 4, 31)).astype(np.float32)
    x = mel
    for weight, bias, pool in zip(encoder.filters, encoder.biases, (2, 3)):
        w, frames = weight.detach().numpy(), x.shape[-1] - 2
        y = np.stack([np.einsum("bcw,fcw->bf", x[:, :, t : t + 3], w) for t in range(frames)], -1)
        y = np.maximum(y + bias.detach().numpy()[:, None], 0)
        y = y[..., : frames // pool * pool]
        x = y.reshape(*y.shape[:2], -1, pool).max(-1)
    pooled = np.concatenate([x.mean(-1), x.max(-1), np.sqrt((x**2).mean(-1))], 1)
    expected = encoder.dense(torch.from_numpy(pooled)).detach()
    np.testing.assert_allclose(
        encoder(torch.from_numpy(mel)).detach(), expected, rtol=1e-4, atol=1e-5
    )


def test_the_shortest_window_passes_and_silence_has_a_gradient():
    encoder = MelCNN(3, n_bands=4, channels=(5, 6), pools=(2, 3), width=3, hidden=(), rng=seeded())
    silent = torch.zeros(1, 4, encoder.shortest)
    encoder(silent).sum().backward()
    assert all(torch.isfinite(one.grad).all() for one in encoder.parameters())
    with pytest.raises(DataError, match=f"at least {encoder.shortest} are needed"):
        encoder(silent[..., 1:])


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"sizes": []}, "sizes got"),
        ({"sizes": [3, 0]}, "sizes got"),
        ({"sizes": [3, 2], "dropout": 1.0}, "dropout got 1.0"),
        ({"sizes": [3, 2], "activation": "tan"}, "did you mean 'tanh'"),
    ],
)
def test_senseless_towers_are_refused(bad, said):
    with pytest.raises(ConfigError, match=said):
        MLP(**bad, rng=seeded())
    with pytest.raises(ConfigError, match="one pool a convolution"):
        MelCNN(3, channels=(4,), pools=(2, 2), rng=seeded())
