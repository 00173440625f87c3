"""Canonical N-Quads (RDFC-1.0) of a JSON-LD document, in bounded time, with nothing dropped on the way.

Plain normalisation is a way around signatures: members without a definition, null, and IRIs that are relative vanish
from what is signed, and a member under another spelling of its name (`@id`, a full IRI) is signed but not seen by a
reader of the JSON. So a document says everything in plain terms, or it is refused.
"""

import math
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pyoxigraph as ox
from pyld.jsonld import JsonLdError, JsonLdProcessor

from protocol import context
from protocol.errors import EvidenceError

MAX_VALUES = 2048  # members and list items together
MAX_ITEMS = 256  # in one list: PyLD compares them pairwise
MAX_BLANK_NODES = 512
MAX_ORDERINGS = 5040  # 7!: what canonicalisation may have to try for nodes that look alike
_NOWHERE = "https://relative.invalid/"  # what a relative IRI would be resolved against
_IRI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s<>\"{}|\\^`\x00-\x20]+")
_LANGUAGE = re.compile(r"[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*")
_VALUE_MEMBERS = frozenset({"@value", "@language"})
_NOT_JSON_LD = (JsonLdError, TypeError, KeyError, ValueError, AttributeError, IndexError, RecursionError)


def canonical(document: Mapping[str, Any]) -> bytes:
    """The canonical N-Quads of a document (RDF Dataset Canonicalization 1.0), UTF-8.

    EvidenceError: context_unknown, undefined_term, relative_iri, too_many_blank_nodes, too_large (more than 2,048
    values, or 256 in a list), bad_number (fractions have no exact form in RDF), bad_jsonld.
    """
    context.check(document)
    _check_members(document)
    dataset = _dataset(document)
    _check_cost(dataset)
    dataset.canonicalize(ox.CanonicalizationAlgorithm.RDFC_1_0)
    return "".join(sorted(f"{quad} .\n" for quad in dataset)).encode()


def _check_members(document: Mapping[str, Any]) -> None:
    values = 0
    for members in context.objects(document):
        if members.keys() & _VALUE_MEMBERS and members.keys() <= _VALUE_MEMBERS:
            continue
        for key, value in members.items():
            if key == "@context":
                continue
            if key.startswith("@") or ":" in key:
                raise EvidenceError("undefined_term", "a member by another name than its term")
            items = value if isinstance(value, list) else (value,)
            values += len(items) + 1
            if not items or any(item is None or isinstance(item, list) for item in items):
                raise EvidenceError("undefined_term", "null, an empty list or a list of lists says nothing in RDF")
            if len(items) > MAX_ITEMS:
                raise EvidenceError("too_large", f"a list of more than {MAX_ITEMS}")
            if any(isinstance(item, float) for item in items):
                raise EvidenceError("bad_number", "a fraction has no exact form in RDF")
        if values > MAX_VALUES:
            raise EvidenceError("too_large", f"more than {MAX_VALUES} values")


def _dataset(document: Mapping[str, Any]) -> ox.Dataset:
    dropped: list[object] = []
    processor = JsonLdProcessor(on_property_dropped=dropped.append)
    options = {"documentLoader": _packaged, "base": _NOWHERE}
    try:
        expanded = processor.expand(document, dict(options))
        if any(name is not None for name in dropped):
            raise EvidenceError("undefined_term", "a member that no context defines")
        _check_names(expanded)
        quads = processor.to_rdf(expanded, {**options, "format": "application/n-quads"})
        return ox.Dataset(ox.parse(quads.encode(), format=ox.RdfFormat.N_QUADS))
    except SyntaxError:
        raise EvidenceError("relative_iri", "an IRI that is none") from None
    except _NOT_JSON_LD:
        raise EvidenceError("bad_jsonld", "not JSON-LD of the contexts that it names") from None


def _packaged(url: str, options: Mapping[str, Any]) -> dict[str, Any]:
    return {"contentType": "application/ld+json", "contextUrl": None, "documentUrl": url, "document": context.load(url)}


def _check_names(expanded: Any) -> None:
    """Nodes, types and properties have absolute IRIs or none, languages are tags: PyLD would silently drop the rest.

    Named blank nodes are refused: without them graphs are trees.
    """
    for members in context.objects(expanded):
        types = members.get("@type", [])
        names = [key for key in members if not key.startswith("@")]
        names += [members["@id"]] if "@id" in members else []
        names += types if isinstance(types, list) else [types]
        for name in names:
            if not isinstance(name, str) or _IRI.fullmatch(name) is None or name.startswith(_NOWHERE):
                raise EvidenceError("relative_iri", "a name that is not an absolute IRI or not a defined type")
        if _LANGUAGE.fullmatch(members.get("@language", "en")) is None:
            raise EvidenceError("bad_jsonld", "not a language tag")


def _check_cost(dataset: ox.Dataset) -> None:
    """Refuse graphs whose canonicalisation could take factorial time ("poison graphs", RDFC-1.0 §7.1).

    Nodes that are already told apart by their own statements (first-degree hashes, §4.6) cost nothing. Among the
    others, the algorithm tries at most each order of each connected group; their number is what is bounded here.
    """
    statements: dict[ox.BlankNode, list[str]] = {}
    neighbours: dict[ox.BlankNode, set[ox.BlankNode]] = {}
    for quad in dataset:
        terms = (quad.subject, quad.predicate, quad.object, quad.graph_name)
        nodes = {term for term in terms if isinstance(term, ox.BlankNode)}
        for node in nodes:
            told = ("_:a" if term == node else "_:z" if isinstance(term, ox.BlankNode) else str(term) for term in terms)
            statements.setdefault(node, []).append(" ".join(told))
            neighbours.setdefault(node, set()).update(nodes - {node})
    if len(statements) > MAX_BLANK_NODES:
        raise EvidenceError("too_many_blank_nodes", f"more than {MAX_BLANK_NODES} nodes without a name")
    looks = {node: "\n".join(sorted(told)) for node, told in statements.items()}
    seen = Counter(looks.values())
    alike = {node for node, look in looks.items() if seen[look] > 1}
    if sum(math.factorial(min(size, 8)) for size in _group_sizes(alike, neighbours)) > MAX_ORDERINGS:
        raise EvidenceError("too_many_blank_nodes", "too many nodes without a name that look alike")


def _group_sizes(alike: set[ox.BlankNode], neighbours: Mapping[ox.BlankNode, set[ox.BlankNode]]) -> list[int]:
    sizes, left = [], set(alike)
    while left:
        group, waiting = 0, [left.pop()]
        while waiting:
            group += 1
            near = neighbours[waiting.pop()] & left
            left -= near
            waiting.extend(near)
        sizes.append(group)
    return sizes
