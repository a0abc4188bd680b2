"""One trial into Optuna's tables, in one transaction, with the number that it must get.

Optuna's own way in gives a trial whatever number is next and tries again after any error:
after a commit whose acknowledgement was lost it would store the trial twice. It is slow, too:
each entry is looked up before it is written.
"""

import json
import math
from functools import cached_property
from typing import Any

import sqlalchemy
from optuna.distributions import distribution_to_json
from optuna.trial import FrozenTrial
from sqlalchemy import Connection, Engine, Table, func, select


class OptunaTables:
    """The tables of Optuna's schema in a database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @cached_property
    def _tables(self) -> dict[str, Table]:
        names = ["studies", "trials"]
        names += [f"trial_{kind}" for kind in ("params", "values")]
        names += [f"trial_{kind}_attributes" for kind in ("user", "system")]
        metadata = sqlalchemy.MetaData()
        metadata.reflect(self._engine, only=names, resolve_fks=False)
        return {name: metadata.tables[name] for name in names}

    def count(self, connection: Connection, study: int) -> int:
        """The number of stored trials, without reading them."""
        trials = self._tables["trials"]
        query = select(func.count()).select_from(trials).where(trials.c.study_id == study)
        return int(connection.execute(query).scalar_one())

    def insert(self, connection: Connection, study: int, frozen: FrozenTrial) -> bool:
        """Writes the trial unless its number is not the next one; whether it was written.

        Other writers to the study wait until the transaction of the caller ends.
        """
        tables, execute = self._tables, connection.execute
        studies = tables["studies"]
        execute(select(studies.c.study_id).where(studies.c.study_id == study).with_for_update())
        row = {
            "study_id": study,
            "number": frozen.number,
            "state": frozen.state.name,
            "datetime_start": frozen.datetime_start,
            "datetime_complete": frozen.datetime_complete,
        }
        # SQLite has no row locks: its lock comes with the first change, so that goes first.
        result = execute(tables["trials"].insert().values(row))
        if self.count(connection, study) != frozen.number + 1:
            return False
        [trial] = list(result.inserted_primary_key or ())
        rows: dict[str, list[dict[str, Any]]] = {
            "trial_params": [
                {
                    "param_name": name,
                    "param_value": frozen.distributions[name].to_internal_repr(value),
                    "distribution_json": distribution_to_json(frozen.distributions[name]),
                }
                for name, value in frozen.params.items()
            ],
            "trial_values": [
                {"objective": i, **_stored(value)} for i, value in enumerate(frozen.values or ())
            ],
            "trial_user_attributes": _attributes(frozen.user_attrs),
            "trial_system_attributes": _attributes(frozen.system_attrs),
        }
        for name, entries in rows.items():
            if entries:
                execute(tables[name].insert(), [{"trial_id": trial, **entry} for entry in entries])
        return True

    def attribute(self, connection: Connection, study: int, number: int, key: str) -> object:
        """A user attribute of the trial of that number; None if there is none."""
        trials, attributes = self._tables["trials"], self._tables["trial_user_attributes"]
        query = (
            select(attributes.c.value_json)
            .join(trials, trials.c.trial_id == attributes.c.trial_id)
            .where(trials.c.study_id == study, trials.c.number == number, attributes.c.key == key)
        )
        text = connection.execute(query).scalar_one_or_none()
        return None if text is None else json.loads(text)


def _attributes(pairs: dict[str, object]) -> list[dict[str, Any]]:
    return [{"key": key, "value_json": json.dumps(value)} for key, value in pairs.items()]


def _stored(value: float) -> dict[str, Any]:
    """A value in Optuna's two columns: databases differ in whether they know infinity."""
    if math.isinf(value):
        return {"value": None, "value_type": "INF_POS" if value > 0 else "INF_NEG"}
    return {"value": value, "value_type": "FINITE"}
