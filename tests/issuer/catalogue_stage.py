"""A stage whose catalogue is the live one, and what its officers do with it."""

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from issuer import publication
from issuer.catalogue import content
from issuer.live import LiveCatalogue
from issuer.registry import Registry
from runtime.clock import FixedClock
from runtime.platform import Platform
from runtime.staff import Staff
from tests.verifier.stage import START, Stage, settings_in
from verifier.gate import Gate

Edit = Callable[[dict[str, Any]], object]


@dataclass(slots=True)
class Shelf(Stage):
    """A stage with a live catalogue. A second of its clock passes with each version."""

    made: int = field(default=0, init=False)

    @property
    def dpo(self) -> Staff:
        return self.staff("dora", "dpo")

    @property
    def admin(self) -> Staff:
        return self.staff("dan", "admin")

    def written(self) -> dict[str, Any]:
        """What is in effect, free to be changed."""
        return copy.deepcopy(dict(publication.standing(self.registry).written))

    def draft(self, *edits: Edit) -> str:
        """A draft with these changes; its id."""
        self.made += 1
        said = self.written()
        said["version"] = f"test {self.made}"
        for edit in edits:
            edit(said)
        return publication.declare(self.registry, self.dpo, said).id

    def publish(self, *edits: Edit, finish: bool = True, registry: Registry | None = None) -> str:
        """A version with these changes in effect, and everybody compiled."""
        id_ = self.draft(*edits)
        self.clock.set(self.clock.now() + timedelta(seconds=1))
        publication.approve(registry or self.registry, self.admin, id_)
        self.clock.set(self.clock.now() + timedelta(seconds=2))
        if finish:
            publication.finish(self.registry, id_)
        return id_

    def roll_back(self, number: int) -> str:
        self.made += 1
        id_ = publication.roll_back(self.registry, self.dpo, number, name=f"back {self.made}").id
        self.clock.set(self.clock.now() + timedelta(seconds=1))
        publication.approve(self.registry, self.admin, id_)
        self.clock.set(self.clock.now() + timedelta(seconds=2))
        publication.finish(self.registry, id_)
        return id_

    def again(self) -> "Shelf":
        """The same organisation in another process."""
        return open_shelf(self.platform.settings.home, self.clock)


def open_shelf(home: Path, clock: FixedClock | None = None) -> Shelf:
    chosen = clock or FixedClock(START)
    platform = Platform.open(settings_in(home), chosen)
    catalogue = LiveCatalogue(platform)
    return Shelf(platform, catalogue, Gate.open(platform, catalogue), chosen)


def without(purpose: str, *fields: str) -> Edit:
    """The purpose does not need these fields any more."""

    def edit(said: dict[str, Any]) -> None:
        for one in fields:
            del said["purposes"][purpose]["necessity"][one]

    return edit


def with_field(id_: str, bit: int, *purposes: str) -> Edit:
    """A new field, for these purposes."""

    def edit(said: dict[str, Any]) -> None:
        said["fields"][id_] = {
            "bit": bit, "category": "pd:Preference", "type": "text", "labels": {"en": "New", "zh-CN": "新"},
            "disposition": "shred",
        }  # fmt: skip
        for purpose in purposes:
            said["purposes"][purpose]["necessity"][id_] = "optional"

    return edit


def without_purpose(key: str) -> Edit:
    def edit(said: dict[str, Any]) -> None:
        del said["purposes"][key]

    return edit


def packaged() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(content.packaged().written))
    return found
