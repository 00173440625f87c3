"""Least data, measured: which fields does the prediction of an outcome need? Pure; numbers and names come out alone.

The score is cross-validated (area under the ROC curve for kinds, R² for sizes), and the set that is proposed is tried
once more on a quarter of the customers that took no part in choosing it. GDPR art. 5(1)(c); PIPL art. 6.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import get_scorer
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_score, train_test_split
from threadpoolctl import threadpool_limits

from crm_core.least import features
from crm_core.least.features import Columns, Numbers
from crm_core.seal import Value
from protocol.consent import Field
from protocol.errors import EvidenceError

LEAST: Final = 100  # customers with a known outcome, for a measure that means anything
FEW: Final = 20  # customers of whom a column must be known to be used
FOLDS: Final = 5
SEED: Final = 27560

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Worth:
    """One field: how many customers granted and have it, the score with it alone, and what the score loses without it.

    `chosen`: in the smallest set. `required`: the purpose cannot do without it, whatever it predicts.
    """

    field: Field
    known: int
    alone: float
    loss: float
    chosen: bool
    required: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What was found: scores with every field, with the smallest set and with none; `spread` is one standard error.

    `measure` is "roc_auc" (several kinds: one against the rest) or "r2". `fresh_all` and `fresh_chosen` are the scores
    on customers that took no part.
    """

    customers: int
    measure: str
    none: float
    every: float
    chosen: float
    spread: float
    fresh_all: float
    fresh_chosen: float
    tolerance: float
    worth: tuple[Worth, ...]

    @property
    def dispensable(self) -> tuple[Field, ...]:
        """The fields that need not be asked for: neither chosen nor required."""
        return tuple(each.field for each in self.worth if not (each.chosen or each.required))


def measure(
    rows: Sequence[Mapping[Field, Value | None]],
    types: Mapping[Field, str],
    outcome: Field,
    *,
    required: frozenset[Field] = frozenset(),
    tolerance: float = 0.01,
    progress: Progress = lambda _: None,
) -> Measured:
    """Measure fields (`types`: all candidates and the outcome, each with its catalogue type) over customers' values.

    A field that is missing from a row, or None there, is unknown. Raises EvidenceError `too_few_customers`,
    `outcome_of_one_kind`, `nothing_to_measure`.
    """
    known = [row for row in rows if row.get(outcome) is not None]
    if len(known) < LEAST:
        detail = f"{len(known)} customers granted and have this outcome; {LEAST} are needed"
        raise EvidenceError("too_few_customers", detail, field=outcome)
    candidates = [field for field in types if field != outcome]
    if not candidates:
        raise EvidenceError("nothing_to_measure", "the purpose has no other field than the outcome", field=outcome)
    target, kinds = features.outcome(types[outcome], [value for row in known if (value := row[outcome]) is not None])
    if len(np.unique(target)) < 2:
        raise EvidenceError("outcome_of_one_kind", "it is the same for nearly everybody", field=outcome)
    columns = {field: features.columns(types[field], [row.get(field) for row in known]) for field in candidates}
    counts = {field: sum(row.get(field) is not None for row in known) for field in candidates}
    trial = _Trial(columns, target, kinds=kinds)
    with threadpool_limits(limits=1):  # threads of one fit wait for each other: on a busy machine, for minutes
        return _search(trial, counts, required & columns.keys(), tolerance, progress)


class _Trial:
    """Scores of sets of fields; three quarters of the customers choose, one quarter checks."""

    def __init__(self, columns: Mapping[Field, Columns], target: Numbers, *, kinds: bool) -> None:
        self._columns, self._target, self._kinds = columns, target, kinds
        split = train_test_split(
            np.arange(len(target)), test_size=0.25, random_state=SEED, stratify=target if kinds else None
        )
        self._choosing, self._checking = split
        self.measure = "roc_auc" if kinds else "r2"
        several = kinds and len(np.unique(target)) > 2
        self._scorer = get_scorer("roc_auc_ovr" if several else self.measure)
        folds = StratifiedKFold if kinds else KFold
        self._folds = list(folds(FOLDS, shuffle=True, random_state=SEED).split(self._choosing, target[self._choosing]))
        self._known: dict[frozenset[Field], Numbers] = {}

    @property
    def customers(self) -> int:
        return len(self._target)

    def scores(self, fields: frozenset[Field]) -> Numbers:
        """The score in each fold, by customers whom the model has not seen."""
        if fields not in self._known:
            table, model = self._table(fields)[self._choosing], self._model(fields)
            found = cross_val_score(model, table, self._target[self._choosing], cv=self._folds, scoring=self._scorer)
            self._known[fields] = np.asarray(found, dtype=np.float64)
        return self._known[fields]

    def score(self, fields: frozenset[Field]) -> float:
        return float(self.scores(fields).mean())

    def fresh(self, fields: frozenset[Field]) -> float:
        """The score on the quarter that took no part in choosing."""
        table, model = self._table(fields), self._model(fields)
        model.fit(table[self._choosing], self._target[self._choosing])
        return float(self._scorer(model, table[self._checking], self._target[self._checking]))

    def _table(self, fields: frozenset[Field]) -> Numbers:
        parts = [_told(self._columns[field].numbers) for field in sorted(fields)]
        return np.hstack(parts) if parts else np.zeros((len(self._target), 1))

    def _model(self, fields: frozenset[Field]) -> Any:
        if not fields:
            return DummyClassifier(strategy="prior") if self._kinds else DummyRegressor()
        coded = [kind for field in sorted(fields) for kind in self._columns[field].kinds]
        model = HistGradientBoostingClassifier if self._kinds else HistGradientBoostingRegressor
        return model(
            max_iter=60, max_leaf_nodes=15, early_stopping=False, categorical_features=coded, random_state=SEED
        )


def _told(numbers: Numbers) -> Numbers:
    """Columns of which hardly anything is known say nothing: in some fold they could be unknown altogether."""
    few = (~np.isnan(numbers)).sum(axis=0) < FEW
    return np.where(few, 0.0, numbers)


def _search(
    trial: _Trial, counts: Mapping[Field, int], required: frozenset[Field], tolerance: float, progress: Progress
) -> Measured:
    """Add the field that helps most until the score is within the tolerance, then take out what is not needed."""
    every = frozenset(counts)
    whole = trial.score(every)
    enough = whole - tolerance
    chosen = frozenset[Field]()
    while trial.score(chosen) < enough:
        progress(f"{len(chosen)} fields chosen")
        chosen |= {max(sorted(every - chosen), key=lambda field: (trial.score(chosen | {field}), field in required))}
    for field in sorted(chosen, key=lambda one: trial.score(chosen - {one}), reverse=True):
        if trial.score(chosen - {field}) >= enough:
            chosen -= {field}
    progress("what each field is worth")
    worth = [
        Worth(
            field=field,
            known=counts[field],
            alone=trial.score(frozenset({field})),
            loss=whole - trial.score(every - {field}),
            chosen=field in chosen,
            required=field in required,
        )
        for field in counts
    ]
    spread = float(trial.scores(every).std(ddof=1) / np.sqrt(FOLDS))
    return Measured(
        customers=trial.customers,
        measure=trial.measure,
        none=trial.score(frozenset()),
        every=whole,
        chosen=trial.score(chosen),
        spread=spread,
        fresh_all=trial.fresh(every),
        fresh_chosen=trial.fresh(chosen),
        tolerance=tolerance,
        worth=tuple(sorted(worth, key=lambda one: (not one.chosen, -one.loss, one.field))),
    )
