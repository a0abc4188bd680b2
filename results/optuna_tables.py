"""One trial into Optuna's tables, in one transaction, with the number that it must get.

Optuna's own way in gives a trial whatever number is next and tries again after any error:
after a commit whose acknowledgement was lost it would store the trial twice. It is slow, too:
each entry is looked up before it is written.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache
from typing import Any

import sqlalchemy
from optuna.distributions import CategoricalDistribution, distribution_to_json
from sqlalchemy import Connection, Engine, Table, select

from attnas.core import Objective, Trial

_STATES = {"complete": "COMPLETE", "infeasible": "PRUNED", "failed": "FAIL"}  # Optuna's names


@dataclass(frozen=True)
class OptunaTrial:
    """What Optuna's tables have of a trial: as much as Optuna allows.

    `params` maps a decision to its option and all that it could have got; `attributes` are JSON
    texts of our own.
    """

    number: int
    state: str
    params: Mapping[str, tuple[str, tuple[str, ...]]]
    values: Sequence[float]
    excesses: Sequence[float]
    attributes: Mapping[str, str]
    started: datetime

    @classmethod
    def of(
        cls,
        trial: Trial,
        options: Mapping[str, Sequence[str]],
        objectives: Sequence[Objective],
        constraints: Sequence[str],
        attributes: Mapping[str, str],
    ) -> "OptunaTrial":
        """A plain option outside the space needs no param; a complete trial has its values."""
        values = [float(trial.metrics.get(o.metric, math.nan)) for o in objectives]
        state = _STATES[trial.state]
        if state == "COMPLETE" and any(map(math.isnan, values)):
            state = "PRUNED"  # Optuna refuses a complete trial with a NaN
        named = [*constraints, *(name for name in trial.violations if name not in constraints)]
        now = datetime.now()  # Optuna's times are local
        return cls(
            number=trial.number,
            state=state,
            params={
                name: (text, tuple(options[name]))
                for name, text in trial.architecture.by_name.items()
                if text in options.get(name, ())
            },
            values=values if state == "COMPLETE" else (),
            excesses=[min(float(trial.violations.get(name, 0.0)), 1e300) for name in named],
            attributes=attributes,
            started=datetime.fromisoformat(trial.started).astimezone().replace(tzinfo=None)
            if trial.started
            else now,
        )


class OptunaTables:
    """The tables of Optuna's schema in a database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @cached_property
    def _tables(self) -> dict[str, Table]:
        names = ["studies", "study_user_attributes", "trials"]
        names += [f"trial_{kind}" for kind in ("params", "values")]
        names += [f"trial_{kind}_attributes" for kind in ("user", "system")]
        metadata = sqlalchemy.MetaData()
        metadata.reflect(self._engine, only=names, resolve_fks=False)
        return {name: metadata.tables[name] for name in names}

    def insert(self, connection: Connection, study: int, trial: OptunaTrial) -> bool:
        """Writes the trial unless its number is not the next one; whether it was written.

        Other writers to the study wait until the transaction of the caller ends.
        """
        tables, execute = self._tables, connection.execute
        studies = tables["studies"]
        execute(select(studies.c.study_id).where(studies.c.study_id == study).with_for_update())
        # SQLite has no row locks: its lock comes with the first change, so that goes first.
        result = execute(tables["trials"].insert(), _trial_row(study, trial))
        [own] = list(result.inserted_primary_key or ())
        if self._before(connection, study, own) != trial.number - 1:
            return False
        for name, entries in _rows(trial).items():
            if entries:
                execute(tables[name].insert(), [{"trial_id": own, **entry} for entry in entries])
        return True

    def _before(self, connection: Connection, study: int, own: int) -> int:
        """The number of the trial before the one of that id, whatever is before it; -1 of none."""
        trials = self._tables["trials"]
        query = (
            select(trials.c.number)
            .where(trials.c.study_id == study, trials.c.trial_id < own)
            .order_by(trials.c.trial_id.desc())
            .limit(1)
        )
        found = connection.execute(query).scalar_one_or_none()
        return -1 if found is None else int(found)

    def attribute(self, connection: Connection, study: int, number: int, key: str) -> str | None:
        """The text of a user attribute of the trial of that number; None if there is none."""
        trials, attributes = self._tables["trials"], self._tables["trial_user_attributes"]
        query = (
            select(attributes.c.value_json)
            .join(trials, trials.c.trial_id == attributes.c.trial_id)
            .where(trials.c.study_id == study, trials.c.number == number, attributes.c.key == key)
        )
        return connection.execute(query).scalar_one_or_none()

    def note(self, connection: Connection, study: int, key: str, value: object) -> None:
        """Gives the study a user attribute, in place of an earlier one."""
        table = self._tables["study_user_attributes"]
        mine = (table.c.study_id == study) & (table.c.key == key)
        connection.execute(table.delete().where(mine))
        row = {"study_id": study, "key": key, "value_json": json.dumps(value)}
        connection.execute(table.insert(), row)


def _trial_row(study: int, trial: OptunaTrial) -> dict[str, Any]:
    return {
        "study_id": study,
        "number": trial.number,
        "state": trial.state,
        "datetime_start": trial.started,
        "datetime_complete": datetime.now(),
    }


def _rows(trial: OptunaTrial) -> dict[str, list[dict[str, Any]]]:
    """The rows of a trial in the other tables."""
    # Optuna's own key for what `constraints_func` gives; at most 0 is feasible
    system = {"constraints": json.dumps(list(trial.excesses))}
    return {
        "trial_params": [
            {
                "param_name": name,
                "param_value": options.index(option),
                "distribution_json": _distribution(options),
            }
            for name, (option, options) in trial.params.items()
        ],
        "trial_values": [{"objective": i, **_stored(v)} for i, v in enumerate(trial.values)],
        "trial_user_attributes": _attributes(trial.attributes),
        "trial_system_attributes": _attributes(system),
    }


@lru_cache(maxsize=1024)
def _distribution(options: tuple[str, ...]) -> str:
    return str(distribution_to_json(CategoricalDistribution(options)))


def _attributes(texts: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"key": key, "value_json": text} for key, text in texts.items()]


def _stored(value: float) -> dict[str, Any]:
    """A value in Optuna's two columns: databases differ in whether they know infinity."""
    if math.isinf(value):
        return {"value": None, "value_type": "INF_POS" if value > 0 else "INF_NEG"}
    return {"value": value, "value_type": "FINITE"}
