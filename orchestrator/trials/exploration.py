"""The search space of code that asks for its hyperparameters while it runs: found by running it, branch by branch.

It is run with the first value of everything, then once with each other value of whatever has a few, and again from
wherever a new name appeared; which values a name needs becomes its ``when``. At the end draws from what was found are
run: one that asks for something else shows a dependence that no single value had shown.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from orchestrator.domains import Choice, Condition, Domain, Fixed, InvalidDomain, Space, extremes
from orchestrator.domains.values import same
from orchestrator.errors import ExperimentFileError, OrchestratorError, explain

MOST_VALUES = 10
"""Of how many values each is tried at first; of more, the ends and the middle, and all where these differ."""
MOST_RUNS = 400
DRAWS = 12
"""How many draws in a row have to show nothing new."""
REPEATED = 4
"""How many of them are run once more: code that asks at random is noticed where it differs."""
SECONDS = 300.0


@dataclass(frozen=True)
class Trace:
    """What one run asked for, in order, and what it was answered.

    ``whole``: it came to where it asks for nothing more; otherwise what it did not ask for says nothing. ``error`` is
    what it raised. ``quiet``: it ran on without a question, and was left there.
    """

    domains: Mapping[str, Domain]
    answers: Mapping[str, Any]
    whole: bool = True
    error: OrchestratorError | None = None
    quiet: bool = False


Run = Callable[[Mapping[str, Any]], Trace]
"""Runs the code; what is not among the values is answered with ``first_of`` its domain."""


@dataclass(frozen=True)
class FoundSpace(Space):
    """A space that was found; ``asked`` has the ranges that its code asks for, some of which the file may narrow.

    ``quiet``: a run of the code went on for seconds without a question, and may have had more.
    """

    asked: Mapping[str, str] = field(default_factory=dict)
    quiet: bool = False


def explore(
    run: Run, where: str, written: Mapping[str, Domain], beside: Collection[str] = ()
) -> FoundSpace:
    """Return the space of the code that ``run`` runs; ``where`` begins every message.

    What is ``written`` down of some hyperparameters stands in place of their own ranges, of which it must be a part;
    what is written of names ``beside`` is read by others.
    Raises ExperimentFileError where it is not, and where the code asks for nothing, for one name from two ranges,
    differently when it is run again, or for more than can be explored; and what the code raises whatever it is told.
    """
    return _Exploration(run, where, written, beside).space()


def first_of(domain: Domain) -> Any:
    """Return the value that code is answered with where none is tried: the first option, the lower end."""
    match domain:
        case Fixed():
            return domain.value
        case Choice():
            return domain.values[0]
    return domain.ends[0]


def last_of(domain: Domain, value: Any) -> Any:
    """Return the upper end of a range; ``value`` of anything else."""
    return value if isinstance(domain, Fixed | Choice) else domain.ends[1]


def values_tried(domain: Domain, every: bool = False) -> list[Any]:
    """Return the values of a domain on whose choice it may depend what else there is; none of a continuous one."""
    match domain:
        case Fixed():
            return [domain.value]
        case Choice():
            return list(domain.values)
    if not domain.countable:
        return []
    size = int(domain.size)  # type: ignore[union-attr]
    at = domain.at  # type: ignore[union-attr]
    if size <= MOST_VALUES or (every and size <= MOST_RUNS):
        return [at(index) for index in range(size)]
    return [at(index) for index in dict.fromkeys((0, size // 2, size - 1))]


@dataclass
class _Exploration:
    run: Run
    where: str
    written: Mapping[str, Domain]
    beside: Collection[str] = ()
    began: float = field(default_factory=time.monotonic)
    domains: dict[str, Domain] = field(default_factory=dict)
    traces: list[Trace] = field(default_factory=list)
    contexts: dict[str, Trace] = field(default_factory=dict)
    when: dict[str, tuple[Condition, ...]] = field(default_factory=dict)

    def space(self) -> FoundSpace:
        first = self._first()
        self._look_from(first)
        self._look_from(self._try(self._upper(first)))
        self._allow_what_was_seen()
        number = clean = 0
        while clean < DRAWS:
            found = self._found()
            drawn = found.attempt(0, number)
            trace = self._try(drawn)
            self._look_from(trace)
            for name in drawn.keys() - trace.domains.keys() if trace.whole else ():
                self.when[name] = self._needs(name)
            self._allow_what_was_seen()
            number, clean = number + 1, clean + 1 if self._found() == found else 0
        for trace in self.traces[-REPEATED:]:
            self._check_repeats(trace)
        for name in self.written:
            if name not in self.when and name not in self.beside:
                expected = "expected a hyperparameter that it asks for"
                raise ExperimentFileError(
                    explain(f"search_space.{name}", expected, name, self.when)
                )
        try:
            found = Space.parse(self._found().to_document(), self.where)
        except InvalidDomain as refusal:
            raise ExperimentFileError(f"{self.where}: {refusal}") from None
        others = {n: each for n, each in self.written.items() if n not in self.when}
        asked = {name: str(self.domains[name]) for name in self.when}
        quiet = any(trace.quiet for trace in self.traces)
        return FoundSpace({**found.domains, **others}, asked=asked, quiet=quiet)

    def _first(self) -> Trace:
        """Return the first run that comes to its end; it is run twice, and must ask for the same."""
        first = self._try({})
        for values in (self._upper(first), self._middle(first)) if first.error else ():
            first = self._try(values) if first.error else first
        if first.error is not None:
            raise first.error
        if not first.domains:
            expected = "expected code that asks for at least one hyperparameter"
            raise ExperimentFileError(explain(self.where, expected, "none"))
        self._check_repeats(first)
        return first

    def _check_repeats(self, trace: Trace) -> None:
        """Refuse code that asks for something else when it is run again with the same answers."""
        again = self.run(trace.answers) if trace.whole else trace
        if again.whole and dict(again.domains) != dict(trace.domains):
            raise ExperimentFileError(self._differs(trace.domains, again.domains))

    def _differs(self, first: Mapping[str, Domain], again: Mapping[str, Domain]) -> str:
        names = [n for n in {**first, **again} if first.get(n) != again.get(n)]
        said = "; ".join(
            f"{n} is {first.get(n) or 'absent'}, then {again.get(n) or 'absent'}" for n in names[:3]
        )
        expected = "expected the same hyperparameters whenever it is run with the same values"
        return explain(self.where, expected, said)

    def _upper(self, trace: Trace) -> dict[str, Any]:
        """Return a run's answers with every range at its upper end."""
        return {name: last_of(self._known(name), value) for name, value in trace.answers.items()}

    def _middle(self, trace: Trace) -> dict[str, Any]:
        return {name: self._known(name).from_unit(0.5) for name in trace.domains}

    def _known(self, name: str) -> Domain:
        return self.written.get(name, self.domains[name])

    def _try(self, values: Mapping[str, Any]) -> Trace:
        """Run the code with values, once."""
        values = {**{name: first_of(domain) for name, domain in self.written.items()}, **values}
        known = next((trace for trace in self.traces if _is_of(trace, values)), None)
        if known is not None:
            return known
        self._check_effort()
        trace = self.run(values)
        self.traces.append(trace)
        for name, domain in trace.domains.items():
            if name not in self.domains:
                self._check_part(name, domain)
            if self.domains.setdefault(name, domain) != domain:
                raise ExperimentFileError(self._two_ranges(name, domain, trace))
        return trace

    def _check_part(self, name: str, domain: Domain) -> None:
        """Refuse what is written down of a hyperparameter where that is no part of its own range."""
        written = self.written.get(name)
        beyond = (
            [each.value for each in extremes(written) if not domain.contains(each.value)]
            if written
            else []
        )
        if beyond:
            expected = f"expected a part of the range that {self.where} asks for, {domain}"
            raise ExperimentFileError(explain(f"search_space.{name}", expected, beyond[0]))

    def _check_effort(self) -> None:
        if len(self.traces) >= MOST_RUNS or time.monotonic() - self.began > SECONDS:
            runs = f"after {len(self.traces)} runs in {time.monotonic() - self.began:.0f} s"
            expected = (
                "expected a space whose branches can all be looked into; write search_space in the file for those"
                " hyperparameters that have many values, such as units: 64, and their branches are left out"
            )
            raise ExperimentFileError(explain(self.where, expected, f"new ones still {runs}"))

    def _two_ranges(self, name: str, domain: Domain, trace: Trace) -> str:
        beside = {n: v for n, v in trace.answers.items() if n != name}
        expected = (
            f"expected {name} to be asked for from one range, whatever the others are; give each range a name of its"
            " own, or ask for a share of it"
        )
        return explain(self.where, expected, f"{self.domains[name]}, and beside {beside} {domain}")

    def _look_from(self, trace: Trace, parents: Collection[str] | None = None) -> bool:
        """Try each other value of the new names that a run asked for; return whether it did ask for any.

        ``parents`` are those of the other names on which the new ones may depend; None for all of them.
        """
        waiting, found = [(trace, parents)], False
        while waiting:
            context, parents = waiting.pop(0)
            new = [name for name in context.domains if name not in self.when]
            found = found or bool(new)
            for name in new:
                self.when[name], self.contexts[name] = (), context
            for name in new:
                waiting += [(flipped, (name,)) for flipped in self._flips(context, name)]
            for name in new:
                self.when[name] = self._needs(name, None if parents is None else {*parents, *new})
        return found

    def _flips(self, context: Trace, name: str) -> list[Trace]:
        """Try the values of a name; all of them where what else is asked for depends on it."""
        domain = self._known(name)
        tried = [self._flip(context, name, value) for value in values_tried(domain)]
        if len({frozenset(trace.domains) for trace in tried if trace.whole}) > 1:
            tried = [self._flip(context, name, v) for v in values_tried(domain, every=True)]
        return tried

    def _flip(self, context: Trace, name: str, value: Any) -> Trace:
        return self._try({**context.answers, name: value})

    def _needs(self, name: str, parents: Collection[str] | None = None) -> tuple[Condition, ...]:
        """Return which values of the names before it a name needs, as far as ``parents`` go."""
        context = self.contexts[name]
        before = list(context.domains)[: list(context.domains).index(name)]
        needs = []
        for other in before:
            if parents is not None and other not in parents:
                continue
            beside = self._flips(context, other)
            having = [
                trace.answers[other] for trace in beside if name in trace.domains or not trace.whole
            ]
            if len(having) < len(beside):
                needs.append(Condition(other, tuple(having)))
        return tuple(need for need in needs if not self._implied(need, needs))

    def _implied(self, need: Condition, needs: list[Condition]) -> bool:
        """Return whether another condition's hyperparameter exists only where this one holds."""
        return any(
            of_other.name == need.name and _within(of_other.values, need.values)
            for each in needs
            for of_other in self.when.get(each.name, ())
        )

    def _allow_what_was_seen(self) -> None:
        """Leave out the conditions of each name that a run asked for though they did not hold."""
        while any([self._look_from(trace) for trace in list(self.traces)]):
            pass
        for trace in self.traces:
            while absent := trace.domains.keys() - self._found().existing(trace.answers).keys():
                for name in absent:
                    self.when[name] = tuple(c for c in self.when[name] if c.holds(trace.answers))

    def _found(self) -> Space:
        return Space(
            {
                name: replace(self._known(name), when=self._known(name).when or self.when[name])
                for name in self.when
            }
        )


def _is_of(trace: Trace, values: Mapping[str, Any]) -> bool:
    """Return whether running code with these values would be the same run again."""
    return all(
        same(answer, values.get(name, first_of(trace.domains[name])))
        for name, answer in trace.answers.items()
    )


def _within(values: tuple[Any, ...], others: tuple[Any, ...]) -> bool:
    return all(any(same(value, other) for other in others) for value in values)
