"""The notebook runs from top to bottom, and its page opens with the network closed."""

from __future__ import annotations

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = "01_open_the_city.ipynb"


@pytest.fixture(scope="module")
def page_file(root, sample, tmp_path_factory):
    """The HTML page that the notebook writes."""
    page = tmp_path_factory.mktemp("notebook") / "risk.html"
    book = nbformat.read(root / "notebooks" / NOTEBOOK, as_version=4)
    book.cells.insert(
        0, nbformat.v4.new_code_cell(f"import os\nos.environ.update(CITY={str(sample)!r}, PAGE={str(page)!r})")
    )
    client = NotebookClient(book, timeout=300, resources={"metadata": {"path": str(root / "notebooks")}})
    client.execute()
    text = "\n".join(str(cell.get("outputs", "")) for cell in book.cells)
    assert "surveyed" in text
    return page


def test_the_notebook_runs_and_its_page_asks_nothing_of_any_network(page_file, browser, artefacts):
    context = browser.new_context(viewport={"width": 1280, "height": 800}, offline=True)
    page = context.new_page()
    asked, complaints = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(page_file.as_uri())
    page.wait_for_function("document.documentElement.dataset.deckState === 'made'", timeout=60_000)
    page.wait_for_selector("#deck canvas", timeout=60_000)
    page.wait_for_timeout(3000)
    page.screenshot(path=artefacts / "notebook.png")
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    assert complaints == []
    context.close()
