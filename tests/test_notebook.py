# SPDX-License-Identifier: MIT
"""The notebook runs on a stored campaign and shows its figures."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from campaigns import stored_campaign
from nbclient import NotebookClient

from kmlbench import figures, store
from kmlbench.answer import answer

NOTEBOOK = Path(__file__).parent.parent / "notebooks" / "campaign.ipynb"


def test_the_notebook_shows_the_answer_and_every_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = stored_campaign(tmp_path)
    monkeypatch.setenv("KMLBENCH_CAMPAIGN", str(campaign))
    monkeypatch.setenv("PYTHONPATH", str(NOTEBOOK.parent.parent))
    notebook = nbformat.read(NOTEBOOK, as_version=4)

    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()

    shown = [output["data"] for cell in notebook.cells for output in cell.get("outputs", [])]
    stored = store.read(campaign)
    source = figures.source(stored)
    assert sum("image/svg+xml" in data for data in shown) == len(figures.plots_of(source)) > 0
    assert answer(source, stored.campaign.platform).sentence in "".join(
        data.get("text/markdown", "") for data in shown
    )
    assert "residue_per_query" in "".join(data.get("text/html", "") for data in shown)


def test_the_notebook_is_kept_without_outputs() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert all(cell.get("outputs", []) == [] for cell in notebook.cells)
    assert all(cell.get("execution_count") is None for cell in notebook.cells)
