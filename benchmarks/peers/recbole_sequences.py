"""Train RecBole's GRU4Rec or SASRec on a log and write the seconds of a pass, and with ``answer`` its vectors.

With ``held_indptr``, ``held_history`` and ``held_target`` in what is given, the pass that foresees these best is kept, and
training stops after ``patience`` passes without a better one, or after ``most_seconds``.

Written against RecBole 1.2.1, which needs numpy below 2: an environment of its own, `.venv-peers-recbole` of `make peers`, or
that of TWOFOLD_PEERS_RECBOLE.
"""

import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.utils import get_model, get_trainer, init_seed

folder = Path(sys.argv[1]).resolve()
os.chdir(folder)  # RecBole writes its logs where it stands
given = np.load(folder / "in.npz")
settings = json.loads((folder / "settings.json").read_text())
user, item = given["user"], given["item"]
length = settings.get("length", 50)

place = folder / "log"
place.mkdir()
with (place / "log.inter").open("w") as file:
    file.write("user_id:token\titem_id:token\ttimestamp:float\n")
    file.writelines(
        f"{u}\t{i}\t{at}\n" for at, (u, i) in enumerate(zip(user.tolist(), item.tolist()))
    )

wanted = {
    "data_path": str(folder),
    "USER_ID_FIELD": "user_id",
    "ITEM_ID_FIELD": "item_id",
    "TIME_FIELD": "timestamp",
    "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
    "MAX_ITEM_LIST_LENGTH": length,
    # The log is the training part already: nothing of it is held out.
    "eval_args": {"split": {"RS": [1.0, 0.0, 0.0]}, "order": "TO", "group_by": "user", "mode": "full"},
    "embedding_size": settings["factors"],
    "hidden_size": settings["factors"],
    "loss_type": "CE",
    "train_neg_sample_args": None,
    "train_batch_size": settings.get("batch_size", 2048),
    "epochs": settings["epochs"],
    "eval_step": 0,
    "state": "WARNING",
    "show_progress": False,
    "checkpoint_dir": str(folder / "saved"),
    "reproducibility": True,
    "seed": 0,
    "use_gpu": False,
}  # fmt: skip
# Options are read from the command line too; what stands there is ours.
sys.argv = sys.argv[:1]
config = Config(model=settings["model"], dataset="log", config_dict=wanted)
init_seed(0, True)
began = time.perf_counter()
data = create_dataset(config)
train = data_preparation(config, data)[0]
prepared = time.perf_counter() - began
model = get_model(config["model"])(config, train.dataset).to("cpu")
trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)


def padded(indptr: np.ndarray, history: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the last items of each history in RecBole's numbers, zeros behind them, and how many there are."""
    n = len(indptr) - 1
    sequence, lengths = np.zeros((n, length), np.int64), np.ones(n, np.int64)
    for at in range(n):
        own = row[history[indptr[at] : indptr[at + 1]]]
        own = own[own > 0][-length:]
        sequence[at, : len(own)], lengths[at] = own, max(len(own), 1)
    return sequence, lengths


def answers(sequence: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the vectors of histories and of all items."""
    model.eval()
    with torch.no_grad():
        parts = [
            model.forward(
                torch.from_numpy(sequence[first : first + 1024]),
                torch.from_numpy(lengths[first : first + 1024]),
            ).numpy()
            for first in range(0, len(sequence), 1024)
        ]
        items = model.item_embedding.weight.numpy()[row]
    items[row == 0] = 0
    return np.concatenate(parts), items


def foresight(sequence: np.ndarray, lengths: np.ndarray, target: np.ndarray) -> float:
    """Return the mean of 1 / log2(1 + rank) of the targets in the whole catalogue."""
    vectors, items = answers(sequence, lengths)
    total = 0.0
    for first in range(0, len(target), 1024):
        scores = vectors[first : first + 1024] @ items.T
        own = scores[np.arange(len(scores)), target[first : first + 1024]]
        total += (1 / np.log2(1 + 1 + (scores > own[:, None]).sum(axis=1))).sum()
    return total / len(target)


row = np.zeros(0, np.int64)
if "n_items" in settings:
    token = data.field2token_id["item_id"]
    row = np.array(
        [token.get(str(one), 0) for one in range(settings["n_items"])], np.int64
    )  # 0 is padding

epochs, best, kept, seconds = settings["epochs"], -np.inf, 0, 0.0
held = padded(given["held_indptr"], given["held_history"]) if "held_indptr" in given else None
weights = None
for epoch in range(epochs):
    trainer.start_epoch, trainer.epochs = epoch, epoch + 1
    began = time.perf_counter()
    model.train()
    trainer.fit(train, saved=False, verbose=False)
    seconds += time.perf_counter() - began
    if held is None:
        kept = epoch + 1
        continue
    score = foresight(*held, given["held_target"])
    if score > best:
        best, kept = score, epoch + 1
        weights = {name: one.clone() for name, one in model.state_dict().items()}
    if epoch + 1 - kept >= settings["patience"] or seconds > settings["most_seconds"]:
        break
if weights is not None:
    model.load_state_dict(weights)
found = {
    "seconds": seconds,
    "prepared": prepared,
    "per_epoch": seconds / (epoch + 1),
    "rows": len(train.dataset),
    "kept": kept,
    "taken": epoch + 1,
}
(folder / "out.json").write_text(json.dumps(found))
if settings.get("answer"):
    vectors, items = answers(*padded(given["indptr"], given["history"]))
    np.savez(folder / "out.npz", vectors=vectors, items=items)
