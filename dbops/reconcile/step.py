"""What will be done, as data: a plan is shown, approved, saved, journaled and run from the same values."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

from dbops.dataclass import dataclass
from dbops.sql.hazard import Hazard
from dbops.sql.statement import Parameter, Statement


@dataclass(frozen=True, slots=True)
class Call:
    """An act that is no SQL: `name` is known to the resource that planned it, `arguments` are JSON values.

    `shows` is what people see of it: SQL that it will run, as far as it is short enough to read.
    """

    name: str
    arguments: Mapping[str, Any]
    hazards: tuple[Hazard, ...] = ()
    shows: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One act on one connection.

    `order` is its place in the whole plan. `undo` is None when nothing takes it back. `allowed` are hazard codes the
    manifest's policy already allows. `estimate` may hold `rows`, `bytes` and `seconds`.
    """

    on: str
    title: str
    do: tuple[Statement, ...] | Call
    undo: tuple[Statement, ...] | Call | None = None
    order: int = 0
    allowed: tuple[str, ...] = ()
    estimate: Mapping[str, int | float] | None = None

    @property
    def hazards(self) -> tuple[Hazard, ...]:
        if isinstance(self.do, Call):
            return self.do.hazards
        return tuple(dict.fromkeys(hazard for statement in self.do for hazard in statement.hazards))

    @property
    def is_transactional(self) -> bool:
        """Whether the step may share a transaction with its neighbours."""
        return not isinstance(self.do, Call) and all(statement.transactional for statement in self.do)


def to_dict(step: Step) -> dict[str, Any]:
    """Return the step as the plan format writes it."""
    return {
        "on": step.on,
        "title": step.title,
        "order": step.order,
        **_act_to_dict(step.do),
        "undo": None if step.undo is None else _act_to_dict(step.undo),
        "hazards": _hazards(step.hazards),
        "allowed": list(step.allowed),
        "transactional": step.is_transactional,
        "estimate": dict(step.estimate) if step.estimate else None,
    }


def from_dict(data: Mapping[str, Any]) -> Step:
    """Read what `to_dict` wrote.

    Raises:
        KeyError, TypeError, ValueError: the data is of another shape.
    """
    return Step(
        on=data["on"],
        title=data["title"],
        order=data["order"],
        do=_act_from_dict(data),
        undo=None if data["undo"] is None else _act_from_dict(data["undo"]),
        allowed=tuple(data["allowed"]),
        estimate=data["estimate"],
    )


def act_from_json(text: str | None) -> tuple[Statement, ...] | Call | None:
    """Read an act kept as JSON (the `undo` of a journaled step)."""
    return None if text is None else _act_from_dict(json.loads(text))


def _act_to_dict(act: tuple[Statement, ...] | Call) -> dict[str, Any]:
    if isinstance(act, Call):
        shows = {"shows": list(act.shows)} if act.shows else {}
        return {"call": {"name": act.name, "arguments": dict(act.arguments), "hazards": _hazards(act.hazards), **shows}}
    details = [{"statement": place, **detail} for place, statement in enumerate(act) if (detail := _detail(statement))]
    return {"sql": [statement.sql for statement in act], **({"details": details} if details else {})}


def _detail(statement: Statement) -> dict[str, Any]:
    """What a statement carries beyond its text; empty for most."""
    detail: dict[str, Any] = {}
    if statement.parameters:
        detail["parameters"] = [_parameter_to_json(value) for value in statement.parameters]
    if statement.hazards:
        detail["hazards"] = _hazards(statement.hazards)
    if not statement.transactional:
        detail["transactional"] = False
    if statement.lock_timeout_s is not None:
        detail["lock_timeout_s"] = statement.lock_timeout_s
    return detail


def _hazards(hazards: Sequence[Hazard]) -> list[dict[str, str]]:
    return [
        {"code": hazard.code, "message": hazard.message, **({} if hazard.allowed is None else {"allowed": hazard.allowed})}
        for hazard in hazards
    ]


def _act_from_dict(data: Mapping[str, Any]) -> tuple[Statement, ...] | Call:
    if "call" in data:
        call = data["call"]
        return Call(call["name"], call["arguments"], _hazards_from(call["hazards"]), tuple(call.get("shows", ())))
    details = {detail["statement"]: detail for detail in data.get("details", ())}
    return tuple(_statement(sql, details.get(place, {})) for place, sql in enumerate(data["sql"]))


def _statement(sql: str, detail: Mapping[str, Any]) -> Statement:
    return Statement(
        sql,
        tuple(_parameter_from_json(value) for value in detail.get("parameters", ())),
        _hazards_from(detail.get("hazards", ())),
        detail.get("transactional", True),
        detail.get("lock_timeout_s"),
    )


def _hazards_from(data: Sequence[Mapping[str, str]]) -> tuple[Hazard, ...]:
    return tuple(Hazard(item["code"], item["message"], item.get("allowed")) for item in data)


def _parameter_to_json(value: Parameter) -> Any:
    return {"bytes": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def _parameter_from_json(value: Any) -> Parameter:
    if isinstance(value, dict):
        return base64.b64decode(value["bytes"])
    assert value is None or isinstance(value, str | int | float | bool)
    return value
