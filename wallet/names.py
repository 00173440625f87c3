"""The organisation's own words for fields and purposes, in the owner's language; where it has none, the ids."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wallet import offer
from wallet.client import Client
from wallet.errors import WalletError
from wallet.holding import Holding

Node = Mapping[str, Any]
_LABELS = {"zh": "zh-CN"}  # a language of `wallet.words.language`, as catalogues have it


@dataclass(frozen=True, slots=True)
class Names:
    """Words in one language. ``catalogues``: organisation → its public catalogue, as the wallet saw it last."""

    language: str
    catalogues: Mapping[str, Node] = field(default_factory=dict)

    def of(self, controller: str) -> "Names":
        """One organisation's words alone."""
        found = self.catalogues.get(controller)
        return Names(self.language, {} if found is None else {controller: found})

    def field(self, id_: str) -> str:
        """A field's label."""
        return self._label("fields", lambda key, _: key == id_) or id_

    def both(self, id_: str) -> str:
        """A field's label, and the id by which the command line knows it."""
        name = self.field(id_)
        return id_ if name == id_ else f"{name} ({id_})"

    def purpose(self, iri: str) -> str:
        """A purpose's label, by its IRI or its key."""
        return self._label("purposes", lambda key, node: iri in {key, node.get("iri")}) or offer.short(iri)

    def _label(self, part: str, fits: Any) -> str | None:
        for catalogue in self.catalogues.values():
            listed = catalogue.get(part)
            for key, node in listed.items() if isinstance(listed, Mapping) else ():
                if isinstance(node, Mapping) and fits(key, node) and isinstance(labels := node.get("labels"), Mapping):
                    label = labels.get(_LABELS.get(self.language, self.language)) or labels.get("en")
                    return label if isinstance(label, str) else None
        return None


def fetched(client: Client, holding: Holding) -> Node | None:
    """The public catalogue of an organisation; what the wallet has kept of it where it cannot be had now."""
    try:
        return client.get(holding.at("FieldgrantIssuer", "/issuer/catalogue"))
    except WalletError:
        return holding.catalogue
