"""SASRec: the network written out by hand, what a place may see, and what it learns."""

import numpy as np
import pytest

import twofold as tw
from twofold.errors import ConfigError, DataError
from twofold.models.sequence import sasrec
from twofold.testing import planted_log

torch = pytest.importorskip("torch")


def chain(n_users=40, n_items=12, length=7, seed=0):
    """Everybody walks round a ring of items from somewhere: what comes next is the following one."""
    rng = np.random.default_rng(seed)
    start = rng.integers(0, n_items, n_users)
    user, step = np.divmod(np.arange(n_users * length), length)
    item = (start[user] + step) % n_items
    log = {"u": user, "i": [f"i{one}" for one in item], "t": 1_000_000 + 60 * np.arange(len(user))}
    return tw.Dataset.from_frames(log, user="u", item="i", time="t")


def fitted(data=None, **settings):
    kept = {"factors": 6, "length": 8, "epochs": 2, "learning_rate": 0.01, "batch_size": 8}
    model = tw.models.SASRec(**{**kept, **settings})
    return model.fit(planted_log() if data is None else data, rng=0)


def network(model):
    """The torch module with the weights of a fitted model, in evaluation mode."""
    from twofold.models.sequence._sasrec_training import Network
    from twofold.nn.weights import load_into

    net = Network(model.estimator, len(model.items), rng=torch.Generator())
    load_into(net, model.weights)
    return net


def norm(x, gain, shift):
    return gain * (x - x.mean()) / np.sqrt(x.var() + 1e-5) + shift


def by_hand(model, items):
    """The vector after `items` in float64: Eq. 1 to 6, a place and a head at a time."""
    w = {name: one.astype(np.float64) for name, one in model.weights.items()}
    settings = model.estimator
    d, n, heads = settings.factors, settings.length, settings.heads
    items = items[-n:]
    x = [
        w["items.weight"][one] * np.sqrt(d) + w["places.weight"][n - len(items) + t]
        for t, one in enumerate(items)
    ]
    for at in range(settings.blocks):
        b = {name.removeprefix(f"blocks.{at}."): one for name, one in w.items()}
        q, k, v = np.split(b["attention"], 3, axis=1)
        a = [norm(one, b["before_attention.weight"], b["before_attention.bias"]) for one in x]
        read = []
        for t in range(len(x)):
            parts = []
            for head in range(heads):
                mine = slice(head * d // heads, (head + 1) * d // heads)
                logit = np.array(
                    [(a[t] @ q)[mine] @ (a[s] @ k)[mine] for s in range(t + 1)]
                ) / np.sqrt(d / heads)
                share = np.exp(logit) / np.exp(logit).sum()
                parts.append(sum(share[s] * (a[s] @ v)[mine] for s in range(t + 1)))
            read.append(x[t] + np.concatenate(parts))
        x = []
        for one in read:
            a = norm(one, b["before_layers.weight"], b["before_layers.bias"])
            hidden = np.maximum(a @ b["inner"] + b["inner_bias"], 0)
            x.append(one + hidden @ b["outer"] + b["outer_bias"])
    return norm(x[-1], w["last.weight"], w["last.bias"])


@pytest.mark.parametrize(("blocks", "heads"), [(1, 1), (2, 1), (2, 3), (3, 2)])
def test_a_history_is_the_network_written_out(blocks, heads):
    model = fitted(blocks=blocks, heads=heads)
    model.verify()
    rows = np.arange(6, dtype=np.int32)
    histories = model.memory.history.take(rows)
    assert histories.lengths.max() > 8  # of which the last 8 are read
    wanted = [by_hand(model, one) for one in np.split(histories.item, histories.indptr[1:-1])]
    np.testing.assert_allclose(model.fold_in(histories), wanted, rtol=1e-3, atol=1e-5)
    np.testing.assert_array_equal(model.lookup(rows), model.fold_in(histories))


def test_torch_and_numba_agree_at_every_place_whatever_the_padding():
    model = fitted(heads=2)
    net = network(model)
    rng = np.random.default_rng(0)
    lengths = np.array([1, 3, 8, 5])
    items = rng.integers(0, 24, (4, 8))
    for junk in (0, 11):
        padded = np.where(np.arange(8) < lengths[:, None], items, junk)
        with torch.no_grad():
            out = net(torch.from_numpy(padded), torch.from_numpy(lengths)).numpy()
        for row, n in enumerate(lengths):
            own = items[row, :n].astype(np.int32)
            alone = tw.Histories(np.array([0, n]), own, np.ones(n, np.float32))
            np.testing.assert_allclose(
                out[row, n - 1], model.fold_in(alone)[0], rtol=1e-4, atol=1e-5
            )


def test_what_comes_later_changes_nothing_before():
    model = fitted()
    net = network(model)
    items = torch.from_numpy(np.random.default_rng(1).integers(0, 24, (1, 8)))
    before = net(items, torch.tensor([8]))
    for at in range(1, 8):
        changed = items.clone()
        changed[0, at:] = (changed[0, at:] + 5) % 24
        after = net(changed, torch.tensor([8]))
        torch.testing.assert_close(after[0, :at], before[0, :at], rtol=0, atol=1e-6)
        assert not torch.allclose(after[0, at], before[0, at], atol=1e-4)


def test_the_gradient_of_a_block_is_that_of_finite_differences():
    from twofold.nn.attention import CausalBlock

    block = CausalBlock(4, 2, 0.0, rng=torch.Generator().manual_seed(0)).double()
    x = torch.randn(2, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    names = [name for name, _ in block.named_parameters()]

    def call(x, *values):
        return torch.func.functional_call(block, dict(zip(names, values)), (x,))

    given = [one.detach().clone().requires_grad_() for one in (x, *block.parameters())]
    torch.autograd.gradcheck(call, given)


def test_what_attention_adds_to_a_place_is_dropped_in_training():
    from twofold.nn.attention import CausalBlock

    block = CausalBlock(8, 2, 0.5, rng=torch.Generator().manual_seed(0))
    block.outer.data.zero_()  # the layers add nothing
    x = torch.randn(50, 4, 8, generator=torch.Generator().manual_seed(1))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        dropped = float((block(x)[:, -1] == x[:, -1]).float().mean())
    assert 0.4 < dropped < 0.65
    assert (block.eval()(x) != x).float().mean() > 0.99


def softplus(x):
    return np.log1p(np.exp(x))


@pytest.mark.parametrize("kind", ["binary", "all", "sampled"])
def test_the_loss_is_the_mean_over_the_places_of_whole_histories(kind, monkeypatch):
    from twofold.models.sequence._sasrec_training import Batches
    from twofold.nn.samplers import Drawn

    loss = {
        "binary": sasrec.Binary(negatives=2),
        "all": sasrec.Softmax(samples=None),
        "sampled": sasrec.Softmax(samples=5),
    }[kind]
    data = planted_log()
    model = fitted(data, loss=loss)
    net, history = network(model), model.memory.history
    batches = Batches(model.estimator, net, history, 24)
    drawn = torch.tensor([1, 2, 3, 1, 7])
    log_q = np.log((1 + data.interactions.item_counts) ** 0.75)
    log_q -= np.log(np.exp(log_q).sum())
    if kind == "sampled":
        sampler = batches.sampler
        monkeypatch.setattr(
            type(sampler), "draw", lambda self, shape, rng: Drawn(drawn, self.log_q(drawn))
        )
    if kind == "binary":
        fixed = torch.tensor([[4, 9]])
        monkeypatch.setattr(
            batches, "negatives",
            lambda owner, n, rng: (fixed.repeat(len(owner), 1), batches.has_taken(owner, fixed.repeat(len(owner), 1))),
        )  # fmt: skip
    rows = np.array([3, 0, 5, 7, 1, 9])
    ours = float(batches.loss(torch.from_numpy(rows), torch.Generator()).detach())
    each = []
    table = model.item_vectors.astype(np.float64)
    for row in rows:
        own = history.item[history.indptr[row] : history.indptr[row + 1]]
        read = own[:-1][-8:]
        skipped = len(own) - 1 - len(read)
        for t in range(len(read)):
            # A shorter history stands at other places: the network is asked for the whole one.
            with torch.no_grad():
                x = net(
                    torch.from_numpy(read.astype(np.int64))[None], torch.tensor([len(read)])
                )[0, t].numpy().astype(np.float64)  # fmt: skip
            target = own[skipped + t + 1]
            if kind == "binary":
                others = [one for one in (4, 9) if one not in own]
                each.append(softplus(-table[target] @ x) + softplus(table[others] @ x).sum())
            elif kind == "all":
                scores = table @ x
                each.append(np.log(np.exp(scores).sum()) - scores[target])
            else:
                asked = np.array([target, *(one for one in drawn.numpy() if one != target)])
                scores = table[asked] @ x - log_q[asked]
                each.append(np.log(np.exp(scores).sum()) - scores[0])
    assert ours == pytest.approx(np.mean(each), rel=1e-4)


def test_negatives_are_items_that_the_person_never_took():
    from twofold.models.sequence._sasrec_training import Batches

    data = planted_log()
    model = fitted(data, loss=sasrec.Binary())
    batches = Batches(model.estimator, network(model), model.memory.history, 24)
    owner = torch.arange(40).repeat_interleave(50)
    drawn, hits = batches.negatives(owner, 3, torch.Generator().manual_seed(0))
    taken = model.memory.history.matrix(24).toarray() > 0
    np.testing.assert_array_equal(hits.numpy(), taken[owner.numpy()[:, None], drawn.numpy()])
    assert hits.float().mean() < 0.01
    free = np.bincount(drawn.numpy()[owner.numpy() == 0].ravel(), minlength=24) > 0
    np.testing.assert_array_equal(free, ~taken[0])


def test_order_and_the_last_event_matter_and_of_long_histories_the_last_events_are_read():
    model = fitted(chain(), factors=16, epochs=40, dropout=0.0, learning_rate=0.01)
    best = model.recommend(
        histories=[["i1", "i2", "i3"], ["i3", "i2", "i1"], ["i1", "i2", "i3", "i4"]],
        k=1,
        exclude_seen=False,
    )
    assert best["item"].to_list() == ["i4", "i2", "i5"]
    ring = [f"i{one % 12}" for one in range(5000)]
    long, short = (
        model.recommend(histories=[one], k=3, exclude_seen=False) for one in (ring, ring[-8:])
    )
    assert long["item"][0] == f"i{5000 % 12}"
    assert long["score"].to_list() == short["score"].to_list()


def test_the_loss_of_the_paper_tells_what_people_take_from_what_they_do_not():
    """Negatives are never of one's own history, so that it learns the taste; the softmax learns the order too."""
    model = fitted(length=20, epochs=40, dropout=0.1, loss=sasrec.Binary())
    best = model.recommend(histories=[["i1", "i5", "i9"], ["i2", "i6", "i4"]], k=5)
    parity = np.array([int(one[1:]) % 2 for one in best["item"]])
    assert parity[:5].all()
    assert not parity[5:].any()


@pytest.mark.parametrize("loss", [sasrec.Softmax(samples=4), sasrec.Softmax()])
def test_a_softmax_learns_the_ring(loss):
    model = fitted(chain(), factors=16, epochs=40, dropout=0.0, learning_rate=0.01, loss=loss)
    best = model.recommend(
        histories=[[f"i{one}", f"i{(one + 1) % 12}"] for one in range(12)],
        k=1,
        exclude_seen=False,
    )["item"].to_list()
    assert sum(best[one] == f"i{(one + 2) % 12}" for one in range(12)) >= 11


def test_bad_input_is_refused_in_a_sentence():
    single = tw.Dataset.from_frames({"u": [1, 2], "i": ["a", "b"]}, user="u", item="i")
    with pytest.raises(DataError, match="none of the 2 sequences has two events"):
        fitted(single)
    with pytest.raises(ConfigError, match="no multiple of heads"):
        fitted(heads=4)
    with pytest.raises(ConfigError, match="loss"):
        tw.models.SASRec(loss={"kind": "soft"})


def test_a_person_who_took_everything_still_has_a_loss():
    everything = {"u": [1] * 4 + [2] * 2, "i": list("abcdab")}
    data = tw.Dataset.from_frames(everything, user="u", item="i")
    model = fitted(data, loss=sasrec.Binary())
    assert np.isfinite(model.item_vectors).all()


def test_few_people_get_enough_steps_at_defaults():
    """A pass over 24 histories at 32 a step would be one step, and 30 passes far from having learned anything."""
    model = tw.models.SASRec().fit(chain(24), rng=0)
    told = [[f"i{(one + step) % 12}" for step in range(6)] for one in range(12)]
    best = model.recommend(histories=told, k=1, exclude_seen=False)
    assert best["item"].to_list() == [f"i{(one + 6) % 12}" for one in range(12)]
