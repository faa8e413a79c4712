"""Train RecBole's GRU4Rec or SASRec on a log and write the seconds of a pass, and with ``answer`` its vectors.

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
began = time.perf_counter()
trainer.fit(train, saved=False, verbose=False)
seconds = time.perf_counter() - began
found = {
    "seconds": seconds,
    "prepared": prepared,
    "per_epoch": seconds / settings["epochs"],
    "rows": len(train.dataset),
}
(folder / "out.json").write_text(json.dumps(found))

if settings.get("answer"):
    token = data.field2token_id["item_id"]
    row = np.array(
        [token.get(str(one), 0) for one in range(settings["n_items"])], np.int64
    )  # 0 is padding
    history, indptr = given["history"], given["indptr"]
    n = len(indptr) - 1
    sequence, lengths = np.zeros((n, length), np.int64), np.zeros(n, np.int64)
    for at in range(n):
        own = row[history[indptr[at] : indptr[at + 1]]]
        own = own[own > 0][-length:]
        sequence[at, : len(own)], lengths[at] = own, max(len(own), 1)
    model.eval()
    with torch.no_grad():
        parts = [
            model.forward(
                torch.from_numpy(sequence[first : first + 1024]),
                torch.from_numpy(lengths[first : first + 1024]),
            ).numpy()
            for first in range(0, n, 1024)
        ]
        items = model.item_embedding.weight.numpy()[row]
    items[row == 0] = 0
    np.savez(folder / "out.npz", vectors=np.concatenate(parts), items=items)
