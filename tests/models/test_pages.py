"""The examples on the models' pages run."""

import re
from pathlib import Path

import pytest

PAGES = sorted((Path(__file__).parents[2] / "docs" / "models").glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_example_of_a_page_runs(page):
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    assert blocks, f"{page.name} has no example"
    for block in blocks:
        exec(compile(block, str(page), "exec"), {})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
@pytest.mark.parametrize("part", ["When to use it", "Cost", "Reached"])
def test_a_page_says_what_people_ask(page, part):
    assert f"**{part}.**" in page.read_text()


@pytest.mark.parametrize("name", ["cdl", "ctr", "deep_content"])
def test_new_items_are_listed_as_their_page_says(name):
    """Comments said that a new item was in lists that it was not in."""
    page = next(one for one in PAGES if one.stem == name)
    block = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)[0]
    line = next(one for one in block.splitlines() if one.startswith("longer.recommend("))
    assert "# n1 and n2, by their" in line
    exec(compile(block.replace(line, f"lists = {line}"), str(page), "exec"), found := {})
    assert found["lists"]["item"].to_list() == ["n1", "n2"]
