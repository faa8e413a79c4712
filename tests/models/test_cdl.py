"""CDL: the network's slopes against its objective, and the model against its promises."""

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.special import expit
from threadpoolctl import threadpool_limits

import twofold as tw
from twofold.errors import ConfigError, NotConvergedError
from twofold.kernels.reconstruct import adam_step
from twofold.models.mapping import cdl
from twofold.models.mapping._autoencoder import Network, components, masked, objective, slopes
from twofold.testing import planted_log


def wide(net):
    """The network in float64."""
    return Network(
        tuple(one.astype(np.float64) for one in net.weights),
        tuple(one.astype(np.float64) + 0.1 for one in net.biases),
        net.code,
    )


def literal(net, noisy, clean, v, fit, tie):
    """J without lambda_w, layer by layer as the paper has it."""
    x = noisy.toarray()
    depth, value = len(net.weights), 0.0
    for layer, (w, b) in enumerate(zip(net.weights, net.biases, strict=True), start=1):
        x = x @ w + b
        kind = net.code if layer == depth // 2 else "sigmoid"
        if kind == "unit":
            x = x / np.linalg.norm(x, axis=1, keepdims=True)
        elif kind == "sigmoid":
            x = expit(x)
        if layer == depth // 2:
            value += tie / 2 * ((v - x) ** 2).sum()
    return value + fit / 2 * ((x - clean.toarray()) ** 2).sum()


@pytest.mark.parametrize("code", ["linear", "sigmoid", "unit"])
@pytest.mark.parametrize("fit", [0.0, 1.7])
def test_the_slopes_are_the_derivatives_of_the_objective(code, fit):
    rng = np.random.default_rng(0)
    net = wide(Network.draw((6, 4, 3), code=code, rng=rng))
    clean = csr_array(rng.random((5, 6)) * (rng.random((5, 6)) < 0.6))
    noisy, v = masked(clean, 0.4, rng), rng.normal(size=(5, 3))
    by_weight, by_bias, value = slopes(net, noisy, clean, v, fit, 2.3)
    assert value == pytest.approx(literal(net, noisy, clean, v, fit, 2.3), rel=1e-9)
    step = 1e-6
    for arrays, found in ((net.weights, by_weight), (net.biases, by_bias)):
        for array, slope in zip(arrays, found, strict=True):
            for at in np.ndindex(array.shape):
                old = array[at]
                array[at] = old + step
                above = literal(net, noisy, clean, v, fit, 2.3)
                array[at] = old - step
                below = literal(net, noisy, clean, v, fit, 2.3)
                array[at] = old
                mine = slope[at] if slope.size else 0.0
                assert mine == pytest.approx((above - below) / (2 * step), rel=1e-5, abs=1e-7)


def test_the_objective_adds_all_terms():
    rng = np.random.default_rng(1)
    net = wide(Network.draw((6, 4, 3), code="sigmoid", rng=rng))
    clean = csr_array(rng.random((700, 6)) * (rng.random((700, 6)) < 0.6))
    v = rng.normal(size=(700, 3))
    size = sum((one**2).sum() for one in (*net.weights, *net.biases))
    wanted = literal(net, clean, clean, v, 3.0, 2.0) + 0.25 * size
    assert objective(net, clean, clean, v, (3.0, 2.0, 0.5)) == pytest.approx(wanted, rel=1e-9)


def test_adam_is_algorithm_1():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 3))
    mine, m, s = x.copy(), np.zeros_like(x), np.zeros_like(x)
    mean, square = np.zeros_like(x), np.zeros_like(x)
    for step in range(1, 5):
        g = rng.normal(size=x.shape)
        adam_step(mine, g, mean, square, 0.01, 0.5, step)
        g = g + 0.5 * x
        m, s = 0.9 * m + 0.1 * g, 0.999 * s + 0.001 * g**2
        x = x - 0.01 * (m / (1 - 0.9**step)) / (np.sqrt(s / (1 - 0.999**step)) + 1e-8)
        np.testing.assert_allclose(mine, x, rtol=1e-10)


def test_noise_masks_its_share_and_changes_nothing_else():
    rng = np.random.default_rng(0)
    x = csr_array(rng.random((200, 50)).astype(np.float32))
    y = masked(x, 0.3, rng)
    kept = y.toarray() > 0
    np.testing.assert_array_equal(y.toarray()[kept], x.toarray()[kept])
    assert 0.68 < kept.mean() < 0.72
    assert masked(x, 0.0, rng).nnz == x.nnz


def test_words_are_scaled_by_the_largest_count_of_their_item():
    bag = csr_array(np.array([[1, 4, 0], [0, 0, 0], [2, 0, 2]], np.float32))
    assert cdl.scaled(bag).toarray().tolist() == [[0.25, 1, 0], [0, 0, 0], [1, 0, 1]]
    shares = csr_array(np.array([[0.25, 0.5]], np.float32))
    assert cdl.scaled(shares).toarray().tolist() == [[0.5, 1]]


def test_weighted_words_have_length_1():
    data = planted_log()
    counts, code = cdl.learn_code("title", data.items, 20, "bm25")
    wanted = code.weighted(counts).toarray()
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    np.testing.assert_allclose(cdl.weighted(code, counts).toarray(), wanted, rtol=1e-5)
    assert not np.allclose(wanted, cdl.scaled(counts).toarray())


def test_components_are_the_principal_directions():
    rng = np.random.default_rng(3)
    x = csr_array((rng.random((60, 30)) * (rng.random((60, 30)) < 0.3)).astype(np.float32))
    found = components(x, 4, rng, passes=20)
    wanted = np.linalg.svd(x.toarray())[2][:4].T
    np.testing.assert_allclose(np.abs(found.T @ wanted), np.eye(4), atol=1e-3)
    assert components(x, 50, rng).shape == (30, 30)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"code": "sigmoid", "pretraining": 2},
        {"hidden": ()},
        {"hidden": (), "code": "unit", "weight": "bm25", "start": "components"},
    ],
)
def test_users_are_exact_and_new_items_are_the_code_of_their_words(settings):
    data = planted_log()
    model = tw.models.CDL(factors=4, content="title", epochs=3, **settings).fit(data, rng=0)
    np.testing.assert_allclose(model.fold_in(model.memory.history), model.user_factors, atol=1e-4)
    codes = model.encode_items(data.items)
    counts = csr_array(cdl.read_words("title", data.items, model.words.words))
    x = cdl.weighted(model.words, counts).toarray()
    last = len(model.encoder_weights) - 1
    for layer, (w, b) in enumerate(zip(model.encoder_weights, model.encoder_biases, strict=True)):
        x = x @ w + b
        x = x if layer == last and settings.get("code") != "sigmoid" else expit(x)
    if settings.get("code") == "unit":
        x = x / np.linalg.norm(x, axis=1, keepdims=True)
    np.testing.assert_allclose(codes, x, atol=1e-5)


def test_a_new_item_goes_to_those_who_like_its_words():
    model = tw.models.CDL(
        factors=4, hidden=(8,), content="title", learning_rate=0.02, weight_reg=0.1
    ).fit(planted_log(), rng=0)
    new = {"item": ["n1", "n2"], "title": ["an even thing", "an odd thing"], "tags": [[], []]}
    lists = model.with_items(new).recommend(users=[100, 101], allow=["n1", "n2"], k=1)
    assert lists["item"].to_list() == ["n1", "n2"]
    assert set(lists["source"]) == {"content"}


def test_pretraining_teaches_each_layer_to_restore_its_input():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.eye(4, 12), 30, axis=0)
    bag = csr_array(np.hstack([groups, rng.random((120, 12)) < 0.1]).astype(np.float32))

    def errors(passes):
        model = tw.models.CDL(
            factors=4,
            hidden=(6,),
            pretraining=passes,
            learning_rate=0.02,
            batch_size=16,
            weight_reg=0.1,
        )
        net = Network.draw((24, 6, 4), code="linear", rng=np.random.default_rng(1))
        course = cdl.Course.of(model, 120)
        cdl.pretrain(model, course, net, bag, np.random.default_rng(2))
        below = expit(bag.toarray() @ net.weights[0] + net.biases[0])
        words = expit(below @ net.weights[3] + net.biases[3])
        code = below @ net.weights[1] + net.biases[1]
        again = expit(code @ net.weights[2] + net.biases[2])
        return ((words - bag.toarray()) ** 2).sum(), ((again - below) ** 2).sum() / below.size

    before, after = errors(0), errors(60)
    assert after[0] < before[0] / 4
    assert after[1] < before[1]


def test_the_same_seed_gives_the_same_bytes_wherever_the_arrays_lie():
    data, rng, found = planted_log(), np.random.default_rng(0), set()
    for _ in range(250):
        elsewhere = [np.empty(size) for size in rng.integers(1, 4000, 20)]
        model = tw.models.CDL(factors=4, hidden=(8,), epochs=6, content="title").fit(data, rng=0)
        found.add(model.item_factors.tobytes() + model.user_factors.tobytes())
        del elsewhere
    assert len(found) == 1


def test_the_number_of_threads_changes_nothing():
    """The widest sum is over the words, of which BLAS parts 2,000 among its threads."""
    rng = np.random.default_rng(0)
    words = [[f"w{one}" for one in rng.integers(0, 2000, 40)] for _ in range(400)]
    data = tw.Dataset.from_frames(
        {"u": rng.integers(0, 50, 1000), "i": rng.integers(0, 400, 1000)}, user="u", item="i",
        items={"i": range(400), "words": words}, item_features={"words": "bag"},
    )  # fmt: skip
    found = set()
    for threads in (1, 2):
        with threadpool_limits(threads):
            model = tw.models.CDL(epochs=1, batch_size=188).fit(data, rng=0)
        found.add(model.item_factors.tobytes())
    assert len(found) == 1


def test_steps_that_are_far_too_large_are_refused():
    with pytest.raises(NotConvergedError, match=r"in epoch 1; lower `learning_rate` \(1e\+06\)"):
        tw.models.CDL(content="title", learning_rate=1e6).fit(planted_log(), rng=0)


def test_factors_that_are_drawn_too_wide_are_laid_to_item_reg():
    with pytest.raises(NotConvergedError, match=r"nan before .*; raise `item_reg` \(1e-30\)"):
        tw.models.CDL(content="title", item_reg=1e-30).fit(planted_log(), rng=0)


@pytest.mark.parametrize("model", [tw.models.CDL, tw.models.CTR])
def test_pairs_outside_the_log_weigh_at_most_what_those_inside_do(model):
    with pytest.raises(ConfigError, match="unseen_weight got 5; allowed: at most seen_weight"):
        model(unseen_weight=5)
    assert model(seen_weight=0.5, unseen_weight=0.5).unseen_weight == 0.5


def test_the_network_reads_words_with_gaps_and_restores_all_of_them(monkeypatch):
    read, whole, step = 0, 0, cdl.slopes

    def watched(net, noisy, clean, *rest):
        nonlocal read, whole
        read, whole = read + noisy.nnz, whole + clean.nnz
        assert noisy.multiply(clean).nnz == noisy.nnz
        return step(net, noisy, clean, *rest)

    monkeypatch.setattr(cdl, "slopes", watched)
    data = planted_log()
    model = tw.models.CDL(content="title", noise=0.5, epochs=8).fit(data, rng=0)
    assert whole == 8 * cdl.read_words("title", data.items, model.words.words).nnz
    assert 0.4 < read / whole < 0.6


def test_both_terms_of_a_step_are_means_over_its_items(monkeypatch):
    seen, step = [], cdl.slopes

    def watched(net, noisy, clean, v, fit, tie):
        seen.append((fit * len(v), tie * len(v)))
        return step(net, noisy, clean, v, fit, tie)

    monkeypatch.setattr(cdl, "slopes", watched)
    model = tw.models.CDL(content="title", reconstruction=1.7, item_reg=2.5, epochs=1)
    model.fit(planted_log(), rng=0)
    np.testing.assert_allclose(seen, [(1.7, 2.5)] * 3)


def test_batches_of_a_pass_are_about_equal_in_size(monkeypatch):
    seen, step = [], cdl.slopes

    def watched(net, noisy, *rest):
        seen.append(len(noisy.indptr) - 1)
        return step(net, noisy, *rest)

    monkeypatch.setattr(cdl, "slopes", watched)
    tw.models.CDL(content="title", batch_size=23, epochs=1).fit(planted_log(), rng=0)
    assert seen == [12, 12], "the last of 24 items would have had a step of its own"


@pytest.mark.parametrize(
    ("n_items", "penalties", "decay", "batch"),
    [(40, (1, 1), 0.4, 8), (200, (1, 1), 2, 25), (26_000, (0.1, 10), 10, 256)],
)
def test_the_defaults_are_those_of_the_number_of_items(n_items, penalties, decay, batch):
    course = cdl.Course.of(tw.models.CDL(), n_items)
    assert (course.weights.user_reg, course.weights.item_reg) == pytest.approx(penalties)
    assert (course.weight_reg, course.batch_size) == (decay, batch)
    told = tw.models.CDL(user_reg=2, item_reg=3, weight_reg=0, batch_size=5)
    course = cdl.Course.of(told, n_items)
    assert (*course.weights[2:], course.weight_reg, course.batch_size) == (2, 3, 0, 5)
