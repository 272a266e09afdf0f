"""The ledger: every measurement, verification and failure ever made, beside Optuna's tables; it outlives a study.

What was measured of a policy is found again by the policy's digest, the model's weights, the machine and the setting (cases,
call, batch); so identical policies are measured once, whatever parameters or study led to them.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Column, Engine, Integer, MetaData, String, Table, Text, UniqueConstraint, insert, select
from sqlalchemy.exc import IntegrityError

from frdiff_tune.measure import Failure, Measurement
from frdiff_tune.policy import Measured, Policy

_TABLES = MetaData()
_MEASUREMENT = Table(
    "frdiff_measurement",
    _TABLES,
    Column("id", Integer, primary_key=True),
    Column("policy", String(64), nullable=False, index=True),
    Column("model", String(64), nullable=False),
    Column("machine", String(64), nullable=False),
    Column("setting", String(64), nullable=False),
    Column("block", Integer, nullable=False),
    Column("measurement", Text, nullable=False),
    Column("study", Text, nullable=False),
    Column("created", String(32), nullable=False),
    UniqueConstraint("policy", "model", "machine", "setting", "block"),
)
_POLICY = Table(
    "frdiff_policy",
    _TABLES,
    Column("digest", String(64), primary_key=True),
    Column("policy", Text, nullable=False),
)

_VERIFICATION = Table(
    "frdiff_verification",
    _TABLES,
    Column("id", Integer, primary_key=True),
    Column("policy", String(64), nullable=False, index=True),
    Column("model", String(64), nullable=False),
    Column("machine", String(64), nullable=False),
    Column("setting", String(64), nullable=False),
    Column("measured", Text, nullable=False),
    Column("study", Text, nullable=False),
    Column("created", String(32), nullable=False),
    UniqueConstraint("policy", "model", "machine", "setting"),
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where measurements belong: only those of one place compare.

    Arguments:
        model: Digest of the weights.
        machine: Digest of the machine.
        setting: Digest of cases, call, batch and reference.
        study: Name of the study that asks; a note, not part of the key.
    """

    model: str
    machine: str
    setting: str
    study: str

    @property
    def key(self) -> dict[str, str]:
        """The columns that tell places apart."""
        return {"model": self.model, "machine": self.machine, "setting": self.setting}


class Ledger:
    """Measurements and policies in a database.

    Arguments:
        engine: The database; the tables are made if they are not there.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        _TABLES.create_all(engine)

    def blocks(self, digest: str, place: Place) -> dict[int, Measurement | Failure]:
        """Returns what is known of a policy: block number -> measurement, or why there is none."""
        wanted = {"policy": digest, **place.key}
        query = select(_MEASUREMENT.c.block, _MEASUREMENT.c.measurement).filter_by(**wanted)
        with self._engine.connect() as connection:
            return {block: _read(text) for block, text in connection.execute(query.order_by(_MEASUREMENT.c.block))}

    def enter(self, digest: str, place: Place, block: int, measurement: Measurement | Failure) -> None:
        """Keeps one block; what another worker kept first stays."""
        row = {"policy": digest, **place.key, "block": block, "measurement": json.dumps(asdict(measurement))}
        self._insert(_MEASUREMENT, row | {"study": place.study, "created": datetime.now(UTC).isoformat(timespec="seconds")})

    def verification(self, digest: str, place: Place) -> Measured | None:
        """Returns what was measured of a policy on held-out cases, or None if nothing was."""
        query = select(_VERIFICATION.c.measured).filter_by(policy=digest, **place.key)
        with self._engine.connect() as connection:
            text = connection.execute(query).scalar()
        return None if text is None else Measured.model_validate_json(text)

    def enter_verification(self, digest: str, place: Place, measured: Measured) -> None:
        """Keeps what was measured of a policy on held-out cases; what another worker kept first stays."""
        row = {"policy": digest, **place.key, "measured": measured.model_dump_json(), "study": place.study}
        self._insert(_VERIFICATION, row | {"created": datetime.now(UTC).isoformat(timespec="seconds")})

    def keep(self, policy: Policy) -> None:
        """Keeps a policy under its digest."""
        if self.policy(policy.digest) is None:
            self._insert(_POLICY, {"digest": policy.digest, "policy": policy.model_dump_json(by_alias=True)})

    def policy(self, digest: str) -> Policy | None:
        """Returns the policy of a digest, or None if it was never kept."""
        with self._engine.connect() as connection:
            text = connection.execute(select(_POLICY.c.policy).filter_by(digest=digest)).scalar()
        return None if text is None else Policy.model_validate_json(text)

    def _insert(self, table: Table, row: Mapping[str, object]) -> None:
        try:
            with self._engine.begin() as connection:
                connection.execute(insert(table).values(**row))
        except IntegrityError:
            return


def _read(text: str) -> Measurement | Failure:
    values: dict[str, Any] = json.loads(text)
    if "reason" in values:
        return Failure(**values)
    values |= {key: tuple(value) for key, value in values.items() if isinstance(value, list)}
    earlier = values.pop("lpips", None)  # the only metric once, under a key of its own
    values["counts"] = {name: tuple(each) for name, each in values.get("counts", {}).items()}
    values["values"] = {name: tuple(each) for name, each in values["values"].items()} if earlier is None else {"lpips": earlier}
    return Measurement(**values)
