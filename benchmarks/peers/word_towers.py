"""Train torch-rechub's YoutubeDNN on ids or its DSSM on words; write the seconds of a pass and the vectors.

Rows of users and of items come padded with zeros, as its features want them. Row 0 of every vocabulary is the padding.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch_rechub.basic.features import SequenceFeature
from torch_rechub.models.matching import DSSM, YoutubeDNN
from torch_rechub.trainers import MatchTrainer
from torch_rechub.utils.data import MatchDataGenerator

folder = Path(sys.argv[1])
given = {name: array.astype(np.int64) for name, array in np.load(folder / "in.npz").items()}
settings = json.loads((folder / "settings.json").read_text())
torch.manual_seed(settings.get("seed", 0))
width = settings["factors"]


def feature(name: str, shared: str | None = None) -> SequenceFeature:
    return SequenceFeature(
        name, settings["n_tokens"] + 1, settings["embedding"], shared_with=shared, padding_idx=0,
        pooling="concat" if name == "negatives" else "mean",
    )  # fmt: skip


tower = {"dims": [settings["hidden"], width]}
users, items = given["users"], given["items"]
rows = {"history": given["history"], "item": items[given["item"]]}
if settings["model"] == "YoutubeDNN":
    rows["negatives"] = given["negatives"]
    model = YoutubeDNN(
        [feature("history", "item")], [feature("item")], [feature("negatives", "item")], tower,
        temperature=0.1,
    )  # fmt: skip
    trainer = MatchTrainer(
        model, mode=2, optimizer_params={"lr": settings["learning_rate"]}, n_epoch=1
    )
else:
    model = DSSM([feature("history", "item")], [feature("item")], tower, tower)
    trainer = MatchTrainer(
        model, mode=0, in_batch_neg=True, optimizer_params={"lr": settings["learning_rate"]}, n_epoch=1,
    )  # fmt: skip
asked, offered = {"history": users}, {"item": items}
loaders = MatchDataGenerator(rows, np.zeros(len(given["item"]), np.int64)).generate_dataloader(
    asked, offered, batch_size=settings["batch_size"], num_workers=0
)
seconds = []
for _ in range(settings["epochs"]):
    began = time.perf_counter()
    trainer.train_one_epoch(loaders[0])
    seconds.append(time.perf_counter() - began)

model.eval()
with torch.no_grad():
    found = {}
    for mode, loader in (("user", loaders[1]), ("item", loaders[2])):
        model.mode = mode
        parts = [model(batch).reshape(len(next(iter(batch.values()))), -1) for batch in loader]
        found[mode + "s"] = torch.cat(parts).numpy()
(folder / "out.json").write_text(json.dumps({"per_epoch": float(np.median(seconds))}))
np.savez(folder / "out.npz", **found)
