"""The provenance of one value as a graph in the terms of W3C PROV, out of the records that the log has of it. Pure.

Entities are the states of the value and the credentials that it was used under, activities are events, agents are those
who acted. No value is in it, for none is in a record. The list of events beside it says the same in a table.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from audit.provenance import fields_of
from protocol import event

Json = dict[str, Any]
_MAKES: Final = frozenset({event.VALUE_COLLECTED, event.VALUE_CORRECTED, event.VALUE_RESTORED, event.IMPORT_COMPLETED})
_ENDS: Final = frozenset({event.VALUE_SEALED, event.VALUE_SHREDDED, event.VALUE_DESTROYED, event.VALUE_DELETED})
_CREDENTIALS: Final = ("credential", "consent", "ground", "withdrawal", "certificate", "enrolment", "ask", "notice")
_ACTORS: Final = {"reader": "reader", "importer": "source", "recipient": "recipient"}


@dataclass(slots=True)
class _Graph:
    field: str
    nodes: dict[str, Json] = dataclasses.field(default_factory=dict)
    edges: list[Json] = dataclasses.field(default_factory=list)
    value: str | None = None
    count: int = 0

    def node(self, id_: str, kind: str, **more: Any) -> str:
        self.nodes.setdefault(id_, {"id": id_, "kind": kind, **more})
        return id_

    def edge(self, kind: str, first: str, second: str) -> None:
        self.edges.append({"kind": kind, "from": first, "to": second})

    def begin(self, at: str) -> str:
        """Another state of the value; it derives from the one before."""
        self.count += 1
        made = self.node(f"value:{self.count}", "value", field=self.field, state=self.count, at=at)
        if self.value is not None:
            self.edge("wasDerivedFrom", made, self.value)
        self.value = made
        return made

    def take(self, item: Mapping[str, Any]) -> None:
        """One record, oldest first."""
        header, data = item.get("header", {}), item.get("data", {})
        told = {name: item[name] for name in ("type", "time", "leaf", "place") if name in item}
        purpose = header.get("purpose") or data.get("purpose")
        told |= _decision(data, self.field) | ({"purpose": purpose} if isinstance(purpose, str) else {})
        here = self.node(str(item["event"]), "event", **told)
        if item["type"] in _MAKES:
            self.edge("wasGeneratedBy", self.begin(item["time"]), here)
        elif item["type"] in _ENDS and self.value is not None:
            self.edge("wasInvalidatedBy", self.value, here)
        elif item["type"] == event.RELEASE and self.field in data.get("released", ()):
            self.edge("used", here, self.value or self.begin(item["time"]))
        for name, role in _ACTORS.items():
            if isinstance(who := header.get(name), str):
                self.edge("wasAssociatedWith", here, self.node(who, "agent", role=header.get("role") or role))
        for id_ in _under(header, data, self.field):
            self.edge("wasInfluencedBy", here, self.node(id_, "credential"))


def graph(subject: str, field_: str, records: Sequence[Mapping[str, Any]]) -> Json:
    """`{"subject", "field", "nodes", "edges", "events"}`; `records` as `events.find` gives them, oldest first."""
    made = _Graph(field_)
    told = [one for one in records if "event" in one and _concerns(one, field_)]
    if not any(field_ in fields_of(one.get("data", {})) for one in told):
        told = []  # what concerns every field tells no story of one that never was
    for one in told:
        made.take(one)
    return {
        "subject": subject,
        "field": field_,
        "nodes": list(made.nodes.values()),
        "edges": made.edges,
        "events": [made.nodes[str(one["event"])] for one in told],
    }


def _concerns(item: Mapping[str, Any], field_: str) -> bool:
    named = fields_of(item.get("data", {}))
    return field_ in named or (not named and item["type"] == event.CONSENT_SHUT)


def _decision(data: Mapping[str, Any], field_: str) -> Json:
    withheld = data.get("withheld")
    if isinstance(withheld, Mapping) and field_ in withheld:
        return {"decision": "withheld", "reason": withheld[field_]}
    if field_ in data.get("released", ()):
        return {"decision": "released"}
    return {}


def _under(header: Mapping[str, Any], data: Mapping[str, Any], field_: str) -> list[str]:
    """The credentials that an event rests on or tells of."""
    found = [data[name] for name in _CREDENTIALS if isinstance(data.get(name), str)]
    for grounds in (header.get("grounds"), data.get("grounds")):
        if isinstance(grounds, Mapping):
            found += [id_ for id_, fields in grounds.items() if field_ in fields]
    return sorted(set(found))
