"""A trial as the text that a run keeps of it, and back."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from attnas.core import AttnasError, ItemScores, Trial, checksum, content_of
from attnas.search_space import Architecture, Backbone, Decision

from .details import details_of
from .stored_study import CHECKSUM, DETAILS, SCORES, TRIAL

if TYPE_CHECKING:
    from .stored_study import StoredStudy

SHA256 = "sha256"

Decisions = tuple[Decision, ...]


def attributes(trial: Trial) -> dict[str, str]:
    """What a store keeps of a trial, by attribute, as JSON text; `trial` has the checksums of
    the others, and `checksum` that of `trial`."""
    record, kept = encode(trial), {}
    if trial.scores is not None:
        kept[SCORES] = json.dumps(trial.scores.text())
        record["scores"] = {**trial.scores.header(), SHA256: checksum(kept[SCORES])}
    if (told := _told(trial.architecture)) is not None:
        kept[DETAILS] = told
        record[f"{DETAILS}_{SHA256}"] = checksum(told)
    kept[TRIAL] = json.dumps(record)
    kept[CHECKSUM] = json.dumps(checksum_of_row(trial.number, kept[TRIAL]))
    return kept


def digests(record: Mapping[str, Any]) -> dict[str, str]:
    """The checksums of a trial's other attributes that its record has, by attribute."""
    found = {SCORES: (record.get("scores") or {}).get(SHA256)}
    found[DETAILS] = record.get(f"{DETAILS}_{SHA256}")
    return {key: digest for key, digest in found.items() if digest is not None}


def checksum_of_row(number: int, text: str) -> str:
    """Of a trial's text and its number: so rows cannot change places."""
    return checksum(f"{number} {text}")


def encode(trial: Trial) -> dict[str, Any]:
    """A trial but for its number and its scores as JSON can hold it: no NaN, infinity or tuple."""
    return {
        "architecture": trial.architecture.by_name,
        "identity_start": trial.architecture.identity_start,
        "epochs": int(trial.epochs),
        "state": trial.state,
        "metrics": {name: _number(value) for name, value in trial.metrics.items()},
        "intervals": {
            m: [_number(low), _number(high)] for m, (low, high) in trial.intervals.items()
        },
        "violations": {name: _number(value) for name, value in trial.violations.items()},
        "reason": trial.reason,
        "seconds": _number(trial.seconds),
        "seed": int(trial.seed),
        "started": trial.started,
        "scores": None,
        "uncounted": list(trial.uncounted),
        "schedule_epochs": trial.schedule_epochs,
        "half_size": bool(trial.half_size),
    }


def decode(
    number: int,
    record: Mapping[str, Any],
    backbone: Backbone,
    decisions: Decisions,
    study: "StoredStudy | None" = None,
) -> Trial:
    """What `encode` wrote, also in format 1, as a trial on that backbone.

    `study` has the scores of those whose record has them not.
    """
    return Trial(
        number=number,
        architecture=_architecture(record, backbone, decisions),
        epochs=record["epochs"],
        state=record["state"],
        metrics={name: _parsed(value) for name, value in record["metrics"].items()},
        intervals={
            m: (_parsed(low), _parsed(high)) for m, (low, high) in record["intervals"].items()
        },
        violations={name: _parsed(value) for name, value in record["violations"].items()},
        reason=record["reason"],
        seconds=_parsed(record["seconds"]),
        seed=record["seed"],
        started=record["started"],
        scores=_scores(number, record, study),
        uncounted=tuple(record["uncounted"]),
        schedule_epochs=record.get("schedule_epochs", record.get("of")),  # as format 1 has it
        half_size=record.get("half_size", False),
    )


def damaged(number: int, record: Any, backbone: Backbone, decisions: Decisions) -> Trial:
    """What stands for a trial that is not what was written: failed, with no figures."""
    try:
        architecture = _architecture(record, backbone, decisions)
    except (KeyError, TypeError):
        architecture = Architecture.plain(backbone, decisions)
    return Trial(number, architecture, 0, "failed", reason="damaged: it was changed in the store")


def _architecture(
    record: Mapping[str, Any], backbone: Backbone, decisions: Decisions
) -> Architecture:
    given = record["architecture"] if "architecture" in record else record["choices"]
    options = tuple(str(given[decision.name]) for decision in decisions)
    return Architecture(backbone, decisions, options, record["identity_start"])


@dataclass(frozen=True)
class _Source:
    """Reads the scores of a trial where they are kept."""

    study: "StoredStudy"
    number: int
    kind: str
    sha256: str

    def __call__(self) -> bytes:
        text = self.study.scores(self.number)
        if text is None or checksum(text) != self.sha256:
            raise AttnasError(f"the scores of trial {self.number} were changed in the store.")
        return content_of(json.loads(text), self.kind)


def _scores(
    number: int, record: Mapping[str, Any], study: "StoredStudy | None"
) -> ItemScores | None:
    """The items' scores; format 1 had the bits of right and wrong."""
    if "scores" not in record:
        if not record.get("correct"):
            return None
        bits = {"kind": "bits", "metric": "accuracy", "content": record["correct"]}
        return ItemScores.from_dict({**bits, "items": record["validation_images"]})
    kept = record["scores"]
    if kept is None or study is None or SHA256 not in kept:
        return None if kept is None else ItemScores.from_dict(kept)
    source = _Source(study, number, kept["kind"], kept[SHA256])
    return ItemScores(str(kept["metric"]), int(kept["items"]), kept["kind"], source)


def _told(architecture: Architecture) -> str | None:
    """The details; none of an architecture whose network cannot be built."""
    try:
        return json.dumps(details_of(architecture))
    except (Exception, SystemExit):  # of the user's own network: the trial has failed and says why
        return None


def _number(value: float) -> float | int | str:
    plain = value.item() if isinstance(value, np.generic) else value
    return plain if math.isfinite(plain) else str(plain)


def _parsed(value: float | int | str) -> float:
    return float(value) if isinstance(value, str) else value
