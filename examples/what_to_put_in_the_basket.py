"""What to put in the basket: a grocery's log, asked by who somebody is and by what lies in the basket now."""

import sys
import tempfile
from pathlib import Path

import numpy as np

import twofold as tw

MEALS = {
    "breakfast": ("rolls", "butter", "jam", "eggs", "coffee"),
    "pasta": ("spaghetti", "tomatoes", "basil", "parmesan", "garlic"),
    "barbecue": ("sausages", "mustard", "charcoal", "beer", "bread"),
    "baking": ("flour", "sugar", "yeast", "vanilla", "milk"),
}
"""What is eaten together. Who had one meal plans the next one of the list: breakfast, then pasta, and so on."""


def receipts(n_people: int = 120, n_visits: int = 10) -> tw.Dataset:
    """Return receipts: everybody has a few things that they always take, and cooks one meal after the other."""
    rng = np.random.default_rng(0)
    meals = list(MEALS.values())
    everything = [one for meal in meals for one in meal]
    rows: list[tuple[str, str, str]] = []
    for person in range(n_people):
        always = rng.choice(everything, 2, replace=False)
        meal = int(rng.integers(len(meals)))
        for visit in range(n_visits):
            taken = {*rng.choice(meals[meal], 3, replace=False), *always[rng.random(2) < 0.6]}
            day = f"2026-{1 + visit // 4:02d}-{1 + 7 * (visit % 4):02d}"
            rows += [(f"p{person}", str(one), day) for one in sorted(taken)]
            meal = (meal + 1) % len(meals) if rng.random() < 0.8 else meal
    person, thing, day = zip(*rows, strict=True)
    log = {"person": person, "thing": thing, "day": day}
    return tw.Dataset.from_frames(log, user="person", item="thing", time="day")


def main() -> None:
    split = tw.split.last_basket(receipts())
    hrm = tw.models.HRM(factors=16, epochs=30)
    contenders = {
        "popularity": tw.models.Popularity(),
        "personal frequency": tw.models.PersonalFrequency(),
        "HRM": hrm,
        "HRM and repeats": tw.models.Repeats(model=hrm),
    }
    found = {}
    for name, one in contenders.items():
        model = one.fit(split.train, rng=0)
        report = tw.evaluate(model, split, ["f1@5", "hit@5"], ask="each basket")
        found[name] = report["f1@5"]
        sys.stdout.write(f"{name}: {report['f1@5']:.3f} {report['hit@5']:.3f}\n")
    if max(found, key=lambda name: found[name]) != "HRM and repeats":
        raise SystemExit("what comes next and what is always taken must help each other here")
    model = contenders["HRM and repeats"].fit(receipts(), rng=0)
    answer = model.recommend(users=["p0"], k=4, exclude_seen=False)
    sys.stdout.write(f"p0, after the last receipt\n{answer}\n")
    somebody = [[["rolls", "jam", "coffee"]], [["rolls", "jam"], ["spaghetti", "basil"]]]
    answer = model.recommend(histories=somebody, k=4)
    sys.stdout.write(f"new things for a stranger after breakfast, and after pasta too\n{answer}\n")
    with tempfile.TemporaryDirectory() as folder:
        again = tw.load(model.save(Path(folder) / "baskets")).recommend(histories=somebody, k=4)
    if not again.equals(answer):
        raise SystemExit("a loaded model must answer as before")


if __name__ == "__main__":
    main()
