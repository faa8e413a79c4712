"""Folders that an earlier twofold wrote open for ever, and answer as they did.

``python tests/test_golden.py`` writes the golden folders of the present format. Once a version with that
format is released, its file is never written again: a change that breaks it needs a new format number.
"""

import io
import json
import sys
import tempfile
import zipfile
from pathlib import Path

import pytest

import twofold as tw
from twofold.manifest import FORMAT
from twofold.testing import planted_log

GOLDEN = Path(__file__).parent / "golden"
MODELS = {
    "BPMF": tw.models.BPMF(factors=2, burn_in=1, samples=2, thin=1),
    "BPR": tw.models.BPR(factors=2, epochs=5),
    "BiasedMF": tw.models.BiasedMF(factors=2, epochs=2),
    "CDL": tw.models.CDL(content="title", factors=2, epochs=1, reconstruction=0),
    "CTR": tw.models.CTR(content="title", factors=2, topics="fixed"),
    "ContextEmbedding": tw.models.ContextEmbedding(factors=2, epochs=1),
    "DSSM": tw.models.DSSM(
        encoder={"kind": "dense", "hidden": ()}, factors=2, epochs=2, content="title"
    ),
    "DeepContent": tw.models.DeepContent(
        factorization={"model": "IALS", "factors": 2, "epochs": 2}, network={"kind": "linear"}
    ),
    "Doc2Vec": tw.models.Doc2Vec(factors=2, epochs=1),
    "EASE": tw.models.EASE(),
    "FM": tw.models.FM(
        factors=2, day=True, learner={"method": "mcmc", "burn_in": 1, "samples": 2, "thin": 1}
    ),
    "GRU4Rec": tw.models.GRU4Rec(factors=2, epochs=1),
    "HRM": tw.models.HRM(factors=2, epochs=1),
    "IALS": tw.models.IALS(factors=2, epochs=2),
    "ItemKNN": tw.models.ItemKNN(content=("tags", "title"), similarity="bm25", neighbours=3),
    "JNTM": tw.models.JNTM(factors=2, epochs=1),
    "MeanRating": tw.models.MeanRating(),
    "MultiViewDSSM": tw.models.MultiViewDSSM(
        content="title", hidden=(), factors=2, epochs=2, inputs="words"
    ),
    "PMF": tw.models.PMF(factors=2, epochs=2),
    "PersonalFrequency": tw.models.PersonalFrequency(half_life=1.0),
    "Popularity": tw.models.Popularity(half_life=1.0),
    "Repeats": tw.models.Repeats(model=tw.models.Popularity()),
    "SASRec": tw.models.SASRec(factors=2, length=5, epochs=1),
    "Token2Vec": tw.models.Token2Vec(factors=2, epochs=1),
    "YouTubeCandidates": tw.models.YouTubeCandidates(factors=2, epochs=2),
    "YouTubeRanker": tw.models.YouTubeRanker(hidden=(2,), epochs=2),
}
FORMATS = range(1, FORMAT + 1)


def answers(model):
    """What a model is asked."""
    lists = model.recommend(users=[100, 103], k=3)
    return {
        "items": lists["item"].to_list(),
        "scores": [round(one, 4) for one in lists["score"].to_list()],
        "similar": model.similar_items("i4", k=2)["item"].to_list(),
    }


@pytest.fixture(scope="module", params=FORMATS)
def written(request, tmp_path_factory):
    """The folders of one format number."""
    folder = tmp_path_factory.mktemp(f"format-{request.param}")
    with zipfile.ZipFile(GOLDEN / f"format-{request.param}.zip") as kept:
        kept.extractall(folder)
    return folder


@pytest.mark.parametrize("name", MODELS)
def test_an_old_model_answers_as_it_did(written, name):
    model = tw.load(written / name)
    expected = json.loads((written / "answers.json").read_text())[name]
    found = answers(model)
    assert found["items"] == expected["items"]
    assert found["similar"] == expected["similar"]
    assert found["scores"] == pytest.approx(expected["scores"], abs=2e-3)
    assert type(model.estimator).__name__ == name


def test_an_old_dataset_is_the_log_that_it_was(written):
    found, log = tw.Dataset.load(written / "dataset"), planted_log(6, 10)
    for part in ("interactions", "users", "items"):
        assert found.frame(part).equals(log.frame(part))


def test_every_model_and_format_is_kept():
    assert sorted(MODELS) == sorted(tw.models.__all__)
    kept = sorted(one.name for one in GOLDEN.glob("format-*.zip"))
    assert kept == [f"format-{one}.zip" for one in FORMATS]


def main():
    said, made = {}, io.BytesIO()
    with tempfile.TemporaryDirectory() as scratch, zipfile.ZipFile(made, "w") as kept:
        folder = Path(scratch)
        planted_log(6, 10).save(folder / "dataset")
        for name, estimator in MODELS.items():
            model = estimator.fit(planted_log(6, 10), rng=0)
            model.save(folder / name)
            said[name] = answers(model)
        (folder / "answers.json").write_text(json.dumps(said, indent=1))
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                where = zipfile.ZipInfo(str(path.relative_to(folder)), (1980, 1, 1, 0, 0, 0))
                where.compress_type = zipfile.ZIP_DEFLATED
                kept.writestr(where, path.read_bytes())
    (GOLDEN / f"format-{FORMAT}.zip").write_bytes(made.getvalue())
    sys.stdout.write(f"format-{FORMAT}.zip: {len(made.getvalue()):,} bytes\n")


if __name__ == "__main__":
    main()
