"""The notebook of the examples runs from its first cell to its last."""

from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[2] / "examples/search.ipynb"
SHORTER = {'"epochs": 10': '"epochs": 1', '"trials": 12': '"trials": 3', "seeds=3": "seeds=2"}


def test_the_notebook_runs_and_shows_its_results(tmp_path):
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    for cell in notebook.cells:
        for text, short in SHORTER.items():
            cell.source = cell.source.replace(text, short)
    here = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=200, kernel_name="python3", resources=here).execute()
    results = {
        cell.source: output["data"]
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if output.output_type == "execute_result"
    }
    assert results["run.front()"]["text/html"].startswith("<pre")
    assert "<th>accuracy</th>" in results["run.best()"]["text/html"]
    assert "Not confirmed" not in results["run.summary()"]["text/plain"]
    assert "Conv2d" in results[notebook.cells[-1].source]["text/plain"]
    assert (tmp_path / "runs/notebook").is_dir()
    assert (tmp_path / "best.yaml").is_file()
