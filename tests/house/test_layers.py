"""Imports run downwards only; nothing in the package unpickles, evaluates or hides."""

import ast
from pathlib import Path

import pytest

import twofold

SOURCE = Path(twofold.__file__).parent
LAYERS = [
    ["_version", "errors", "typing", "field_notes", "keeping", "expected"],
    ["hyperparameters", "random", "progress", "_lazy", "manifest", "locks", "drafts"],
    ["persistence"],
    ["data", "datasets"],
    ["features", "nn"],
    ["kernels"],
    ["index"],
    ["filters"],
    ["unseen"],
    ["rank"],
    ["questions", "variety"],
    ["recommend", "similar", "explain", "vectors"],
    ["models"],
    ["candidates"],
    ["impressions"],
    ["pipeline"],
    ["loading"],
    ["split", "metrics"],
    ["evaluation"],
    ["online"],
    [
        "testing",
        "plans",
        "ranges",
        "fingerprints",
        "resuming",
        "runs",
        "jobs",
        "toml_text",
        "trials",
        "tuning",
    ],
    ["applications"],
    ["serve"],
    ["cli", "__main__"],
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
# A kernel is arrays in, arrays out: everything may call it.
EVERYBODY = {"errors", "typing", "kernels"}


def modules():
    return sorted(SOURCE.rglob("*.py"))


def layer_of(path):
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("twofold"):
            parts = node.module.split(".")
            yield from [parts[1]] if len(parts) > 1 else [alias.name for alias in node.names]
        elif isinstance(node, ast.Import):
            yield from (a.name.split(".")[1] for a in node.names if a.name.startswith("twofold."))


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_run_downwards(path):
    own = layer_of(path)
    if own == "__init__":
        return
    assert own in LEVEL, f"{own} is in no layer: add it to LAYERS where it belongs"
    for other in imported(ast.parse(path.read_text())):
        if other in EVERYBODY or other == own:
            continue
        assert LEVEL[other] <= LEVEL[own], f"{path.name} ({own}) imports {other}, which lies above"


def test_kernels_know_only_arrays():
    for path in (SOURCE / "kernels").rglob("*.py"):
        known = set(imported(ast.parse(path.read_text())))
        assert known <= {"typing", "kernels", "errors"}, f"{path.name} imports {known}"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_nothing_runs_what_it_reads_or_hides_what_failed(path):
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in {"eval", "exec"}, f"{path.name}:{node.lineno}"
            assert node.func.id != "print", f"{path.name}:{node.lineno} prints"
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] + [getattr(node, "module", "") or ""]
            assert not {"pickle", "joblib", "marshal"} & set(names), f"{path.name}:{node.lineno}"
        if isinstance(node, ast.ExceptHandler):
            caught = getattr(node.type, "id", None)
            assert caught not in {None, "Exception", "BaseException"} or node.type, path.name
            assert caught not in {"Exception", "BaseException"}, f"{path.name}:{node.lineno}"


def order(name):
    """Constants, classes, functions: the order in which the linter keeps them."""
    return (not name.isupper(), not name[0].isupper(), name)


def test_every_public_name_exists_and_is_sorted():
    for module in (twofold, twofold.models, twofold.split, twofold.metrics):
        assert list(module.__all__) == sorted(module.__all__, key=order), module.__name__
        for name in module.__all__:
            assert getattr(module, name) is not None


def test_a_wrong_name_gets_the_nearest_one():
    with pytest.raises(AttributeError, match="did you mean 'BPMF'"):
        twofold.models.BPMFF  # noqa: B018


def test_no_file_is_too_long():
    long = {
        str(p.relative_to(SOURCE)): n
        for p in modules()
        if (n := len(p.read_text().splitlines())) > 450
    }
    assert not long, f"split these: {long}"
