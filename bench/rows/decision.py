"""Decisions with their database read, against Cedar and Casbin that decide the same facts from memory."""

import importlib
import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bench import result, scene
from bench.result import Result
from bench.scene import FIELDS, Scene
from bench.size import Size
from bench.timing import compare
from protocol.consent import SubjectId
from verifier import decision

_GOAL = 1 / 20
_ASKED = frozenset(FIELDS[:3])
_MODEL = """
[request_definition]
r = sub, obj, act
[policy_definition]
p = act
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = r.act == p.act && granted(r.sub, r.obj)
"""


def measure(size: Size) -> Iterator[Result]:
    """Many subjects against the two peers; the most of them against few."""
    with scene.opened(size.place(size.many, "bare"), size.many, values=False) as made, _deciding(made) as decide:
        for peer, asked in (("cedarpy", _cedar(made)), ("pycasbin", _casbin(made))):
            name = f"decision with its database read, {size.many:,} subjects, against {peer}"
            if asked is None:
                yield result.missing(name, f"≤ {_GOAL:g}", peer)
                continue
            found = compare(decide, asked, calls=2000, reference_calls=100, rounds=size.rounds)
            yield result.costs(name, found, _GOAL, note="one passage and one snapshot for all")
    with (
        scene.opened(size.place(size.most, "bare"), size.most, values=False) as most, _deciding(most) as of_most,
        scene.opened(size.place(size.few, "bare"), size.few, values=False) as few, _deciding(few) as of_few,
    ):  # fmt: skip
        name = f"decision at {size.most:,} subjects against {size.few:,}"
        yield result.costs(name, compare(of_most, of_few, calls=2000, rounds=size.rounds), 1.3)


@contextmanager
def _deciding(made: Scene) -> Iterator[Callable[[], None]]:
    """Decide about one customer after the other; half of what is read was read before."""
    step = max(1, len(made.subjects) // 997)
    turns = itertools.cycle(made.subjects[::step])
    visit = made.visit()
    with made.gate.passage(visit) as passage, made.platform.database.read() as session:
        ask = decision.asking(session, passage)

        def decide() -> None:
            verdict = ask(next(turns))
            if verdict is None or not verdict.released >= _ASKED:
                raise AssertionError("a granted field was withheld")

        yield decide


def _cedar(made: Scene) -> Callable[[], None] | None:
    try:
        cedar = importlib.import_module("cedarpy")
    except ImportError:
        return None
    policy = (
        'permit(principal, action == Action::"read", resource) when { resource.granted.containsAll(context.asked) };'
    )
    policies = cedar.PolicySet.from_str(policy)
    turns = itertools.cycle(made.subjects[:: max(1, len(made.subjects) // 97)])
    granted = list(FIELDS)

    def decide() -> None:
        subject: SubjectId = next(turns)
        entity = {"uid": {"type": "Customer", "id": subject}, "attrs": {"granted": granted}, "parents": []}
        request = {
            "principal": 'Staff::"mei"', "action": 'Action::"read"', "resource": f'Customer::"{subject}"',
            "context": {"asked": sorted(_ASKED)},
        }  # fmt: skip
        if not cedar.is_authorized(request, policies, json.dumps([entity])).allowed:
            raise AssertionError("Cedar denied")

    return decide


def _casbin(made: Scene) -> Callable[[], None] | None:
    try:
        casbin = importlib.import_module("casbin")
    except ImportError:
        return None
    enforcer = casbin.Enforcer(casbin.Enforcer.new_model(text=_MODEL))
    enforcer.add_policy("read")
    keyed = {subject: frozenset(FIELDS) for subject in made.subjects}
    enforcer.add_function("granted", lambda subject, asked: keyed[subject] >= asked)
    turns = itertools.cycle(made.subjects[:: max(1, len(made.subjects) // 97)])

    def decide() -> None:
        if not enforcer.enforce(next(turns), _ASKED, "read"):
            raise AssertionError("Casbin denied")

    return decide
