"""The model card of a trained network: what it is, what it is worth, and how to load it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attnas.core import described, in_order, to_yaml

from .confirmation import CONFIRMATION_FILE, read_confirmation

if TYPE_CHECKING:
    from .run import Run

_PIPELINES = {"classification": "image-classification", "segmentation": "image-segmentation"}


def model_card(
    document: Mapping[str, Any], record: Mapping[str, Any], run: "Run | None" = None
) -> str:
    """A README.md with the front matter that model hubs read.

    Args:
        document: the architecture's export.
        record: what the weights file says of its training (`training_record`).
        run: the run, if it is known: baselines, verdict and machine are told from it.
    """
    name = f"{document['backbone']['name'].rpartition('/')[2]}-attention"
    parts = [
        f"---\n{to_yaml(_front_matter(name, document, record))}---",
        f"# {name}",
        _what(document),
        _architecture(document),
        "## What it is worth",
        *_worth(document, record, run),
        "## Device",
        _device(document, run),
        "## Data",
        _data(document, record),
        "## How to load it",
        _loading(document, record),
    ]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def _front_matter(
    name: str, document: Mapping[str, Any], record: Mapping[str, Any]
) -> dict[str, Any]:
    task = (document.get("task") or {}).get("name", "")
    images = len(document["backbone"]["input_shape"]) == 3
    pipeline = _PIPELINES.get(task) if images else None
    matter: dict[str, Any] = {"library_name": "pytorch", "tags": ["attention", "attnas"]}
    if pipeline:
        matter["pipeline_tag"] = pipeline
    metrics = {n: v for n, v in record.get("metrics", {}).items() if n != "loss"}
    if not metrics:
        return matter
    found = [{"type": n, "value": round(float(v), 5), "name": n} for n, v in metrics.items()]
    data = (document.get("data") or {}).get("source", "own data")
    result = {
        "task": {"type": pipeline or task or "other"},
        "dataset": {"name": str(data), "type": str(data), "split": "test"},
        "metrics": found,
    }
    return {
        **matter,
        "metrics": list(metrics),
        "model-index": [{"name": name, "results": [result]}],
    }


def _what(document: Mapping[str, Any]) -> str:
    shape = " x ".join(map(str, document["backbone"]["input_shape"]))
    provenance = document.get("provenance", {})
    whence = f", trial {provenance['trial']} of the run {provenance['run']}" if provenance else ""
    return (
        f"A {document['backbone']['name']} whose attention was searched by attnas under measured "
        f"constraints{whence}. It takes inputs of {shape}."
    )


def _architecture(document: Mapping[str, Any]) -> str:
    options = document.get("architecture") or document.get("choices") or {}
    return _table(("decision", "option"), ((name, f"`{text}`") for name, text in options.items()))


def _worth(
    document: Mapping[str, Any], record: Mapping[str, Any], run: "Run | None"
) -> Iterable[str]:
    metrics, ends = record.get("metrics", {}), record.get("intervals", {})
    if metrics:
        items = record.get("items")
        yield (
            f"These weights, after {record.get('epochs', '?')} epochs, on "
            f"{f'{items:,} ' if items else ''}test items that were never trained on:"
        )
        yield _table(("metric", "value", "95 % interval"), _rows(metrics, ends))
    else:
        yield "The weights file does not say how these weights score."
    epochs = document.get("provenance", {}).get("epochs", "?")
    yield f"In the search, after {epochs} epochs, on the validation items that chose it:"
    found = document.get("metrics", {})
    values = {name: entry["value"] for name, entry in found.items()}
    plain = {} if run is None else _plain(run)
    yield _table(
        ("metric", "value", "95 % interval", "plain backbone"),
        _rows(values, {n: e["interval"] for n, e in found.items() if "interval" in e}, plain),
    )
    if run is not None:
        yield _verdict(run)
        yield _baselines(run)


def _plain(run: "Run") -> Mapping[str, float]:
    cheap: Mapping[str, float] = run.facts["plain"]["metrics"]
    return {**cheap, **({} if run.plain is None else run.plain.metrics)}


def _verdict(run: "Run") -> str:
    confirmation = read_confirmation(run.folder / CONFIRMATION_FILE)
    if confirmation is None:
        return (
            "**Not confirmed.** The architecture was chosen as the best of many short trainings, "
            "which is partly luck; `attnas confirm` was not run."
        )
    return f"**Confirmed with new seeds:** {confirmation.verdict()}"


def _baselines(run: "Run") -> str:
    trials = {name: trial for name, trial in run.baselines.items() if trial.feasible}
    names = [objective.metric for objective in run.objectives]
    if not trials:
        return ""
    rows = (
        (name, *(described(m).text(trial.metrics.get(m)) for m in names))
        for name, trial in trials.items()
    )
    headings = ("baseline", *(described(m).heading for m in names))
    return f"What one would have placed by hand, in the same search:\n\n{_table(headings, rows)}"


def _device(document: Mapping[str, Any], run: "Run | None") -> str:
    settings = dict(document.get("device") or {})
    name = settings.pop("name", "-")
    told = ", ".join(f"{key} {value}" for key, value in settings.items())
    bounds = ", ".join(f"{n} {bound}" for n, bound in document.get("constraints", {}).items())
    lines = [f"Latency was measured on `{name}`{f' ({told})' if told else ''}."]
    known = {} if run is None else run.environment.get("device", {})
    machine = [f"{key} {value}" for key, value in known.items() if key not in (*settings, "device")]
    if machine:
        lines.append(f"The machine: {', '.join(machine)}.")
    lines.append(f"The search's bounds: {bounds}." if bounds else "The search had no bounds.")
    return " ".join(lines)


def _data(document: Mapping[str, Any], record: Mapping[str, Any]) -> str:
    data = document.get("data") or {}
    if not data:
        return "The data are not recorded."
    sizes = ", ".join(f"{count:,} for {part}" for part, count in data.get("sizes", {}).items())
    lines = [f"Source `{data.get('source')}`: {sizes}. SHA-256 `{data.get('data_sha256')}`."]
    classes = record.get("classes", ())
    if classes:
        shown = ", ".join(map(str, classes[:20])) + (", ..." if len(classes) > 20 else "")
        lines.append(f"Outputs: {shown}.")
    if record.get("trained_on"):
        lines.append(f"These weights were trained on: {', '.join(record['trained_on'])}.")
    if record.get("start"):
        lines.append(f"Their training began from {record['start']}.")
    return " ".join(lines)


def _loading(document: Mapping[str, Any], record: Mapping[str, Any]) -> str:
    known = "mean" in record
    shape = ", ".join(map(str, document["backbone"]["input_shape"]))
    lines = [
        "```python",
        f"from network import network{', prepare' if known else ''}",
        "",
        "net = network()  # in eval mode, with model.safetensors",
        f"scores = net({'prepare(inputs)' if known else 'inputs'})  # inputs (N, {shape})",
        "```",
        "",
        f"`network.py` needs torch{_needed(str(document['backbone']['name']))}, not attnas. With "
        'attnas it is `attnas.build("architecture.yaml", weights="model.safetensors")`.',
    ]
    return "\n".join(lines)


def _needed(name: str) -> str:
    """What else its network is made by."""
    if "/" in name:
        return f" and {name.partition('/')[0]}"
    return f" and the module `{name.partition(':')[0]}`" if ":" in name else ""


def _rows(
    metrics: Mapping[str, float],
    intervals: Mapping[str, Sequence[float]],
    plain: Mapping[str, float] | None = None,
) -> Iterable[tuple[str, ...]]:
    for name in in_order(metrics):
        metric = described(name)
        ends = intervals.get(name)
        between = "-" if not ends else " to ".join(metric.text(end) for end in ends)
        row = (metric.heading, metric.text(metrics[name]), between)
        yield row if plain is None else (*row, metric.text(plain.get(name)))


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
