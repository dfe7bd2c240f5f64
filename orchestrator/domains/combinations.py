"""The distinct combinations of a finite space: how many there are, and the one of each rank, with none written out.

Combinations that differ only in a hyperparameter that does not exist beside the others' values are the same one. So
they are counted along the tree of conditions: what depends on nothing is multiplied, what others depend on is gone
through by those of its values that make a difference.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from orchestrator.domains.finite import Choice, Fixed
from orchestrator.domains.parse import Domain
from orchestrator.domains.space import Space
from orchestrator.domains.values import Condition, same

MOST_PARTS = 500
"""Of how many parts a space is counted at most: conditions can be so entangled that each combination is one."""

Part = Mapping[str, tuple[Condition, ...]]
"""Hyperparameters of which some are yet to be decided, each with the conditions that are."""


class Steps(Sequence[Any]):
    """The values of a stepped range, or of one of whole numbers, in their order."""

    def __init__(self, domain: Any) -> None:
        self._domain = domain

    def __len__(self) -> int:
        return int(self._domain.size)

    def __getitem__(self, index: Any) -> Any:
        return self._domain.at(range(len(self))[index])  # IndexError beyond, which ends a loop

    def index(self, value: Any, start: int = 0, stop: int | None = None) -> int:
        """Return the position of one of the values."""
        return int(round((value - self._domain.min) / (self._domain.step or 1)))  # noqa: RUF046 - of Any


def values_of(domain: Domain) -> Sequence[Any] | None:
    """Return the values of a finite domain; None for one that is not."""
    if isinstance(domain, Fixed):
        return (domain.value,)
    if isinstance(domain, Choice):
        return domain.values
    if not domain.countable:
        return None
    low, high = domain.ends
    return (low,) if low == high else Steps(domain)


@dataclass(frozen=True)
class Combinations:
    """What hyperparameters of these values can be together; each exists where its conditions ``when`` hold."""

    values: Mapping[str, Sequence[Any]]
    when: Mapping[str, tuple[Condition, ...]] = field(default_factory=dict)
    _counts: dict[tuple[Any, ...], int] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, space: Space) -> Combinations | None:
        """Return those of a space; None for one that is not finite, or too entangled to be counted."""
        values = {name: values_of(domain) for name, domain in space.domains.items()}
        if any(each is None for each in values.values()):
            return None
        when = {name: domain.when for name, domain in space.domains.items()}
        found = cls({name: each for name, each in values.items() if each is not None}, when)
        return found if found.is_countable else None

    @cached_property
    def is_countable(self) -> bool:
        """Whether it takes few enough parts to count them."""
        try:
            return self.count >= 0
        except OverflowError:
            return False

    @cached_property
    def count(self) -> int:
        """How many there are. Raises OverflowError where that takes too many parts."""
        return self._count(self._whole)

    def at(self, rank: int) -> dict[str, Any]:
        """Return the combination of a rank, from 0 to below ``count``, in the order of the hyperparameters."""
        found = dict(self._found(self._whole, rank))
        return {name: found[name] for name in self.values if name in found}

    @property
    def _whole(self) -> Part:
        return {name: tuple(self.when.get(name, ())) for name in self.values}

    def _count(self, part: Part) -> int:
        key = tuple((name, *(condition.name for condition in when)) for name, when in part.items())
        if key not in self._counts:
            if len(self._counts) >= MOST_PARTS:
                raise OverflowError("too entangled to be counted")
            self._counts[key] = self._counted(part)
        return self._counts[key]

    def _counted(self, part: Part) -> int:
        pieces = _independent(part)
        if len(pieces) != 1:
            return math.prod(self._count(piece) for piece in pieces)
        if len(part) == 1:
            return len(self.values[next(iter(part))])
        return sum(len(alike) * self._count(rest) for _, alike, rest in self._cases(part))

    def _found(self, part: Part, rank: int) -> Iterator[tuple[str, Any]]:
        """Yield each hyperparameter of a part that exists in its combination of a rank."""
        pieces = _independent(part)
        if len(pieces) != 1:
            for piece in reversed(pieces):
                rank, inside = divmod(rank, self._count(piece))
                yield from self._found(piece, inside)
            return
        if len(part) == 1:
            [name] = part
            yield name, self.values[name][rank]
            return
        for name, alike, rest in self._cases(part):
            inside = self._count(rest)
            if rank < len(alike) * inside:
                position, rank = divmod(rank, inside)
                yield name, self.values[name][alike[position]]
                yield from self._found(rest, rank)
                return
            rank -= len(alike) * inside

    def _cases(self, part: Part) -> Iterator[tuple[str, Sequence[int], Part]]:
        """Yield a hyperparameter on which others depend, the positions of values that are alike to them, the rest."""
        depended = {condition.name for when in part.values() for condition in when}
        name = next(each for each in part if each in depended and not part[each])
        values = self.values[name]
        named = [c for when in part.values() for c in when if c.name == name]
        special = sorted({_position(values, value) for c in named for value in c.values} - {-1})
        groups: dict[tuple[bool, ...], list[int]] = {}
        for position in special:
            holds = tuple(c.holds({name: values[position]}) for c in named)
            groups.setdefault(holds, []).append(position)
        for positions in groups.values():
            yield name, positions, _decided(part, name, values[positions[0]])
        others = _Others(len(values), special)
        if len(others):
            yield name, others, _decided(part, name, values[others[0]])


class _Others(Sequence[int]):
    """The positions from 0 to below ``length`` without a few ``left_out``, which are in their order."""

    def __init__(self, length: int, left_out: Sequence[int]) -> None:
        self._length, self._left_out = length, left_out

    def __len__(self) -> int:
        return self._length - len(self._left_out)

    def __getitem__(self, index: Any) -> Any:
        index = range(len(self))[index]
        for position in self._left_out:
            index += position <= index
        return index


def _position(values: Sequence[Any], value: Any) -> int:
    """Return where a value is among others, -1 where it is not."""
    if isinstance(values, Steps):
        return values.index(value)
    return next((at for at, known in enumerate(values) if same(known, value)), -1)


def _independent(part: Part) -> list[Part]:
    """Return a part in pieces that do not depend on one another."""
    pieces: list[dict[str, tuple[Condition, ...]]] = []
    for name, when in part.items():
        linked = {name, *(condition.name for condition in when)}
        joined: dict[str, tuple[Condition, ...]] = {}
        apart = []
        for piece in pieces:
            names = piece.keys() | {c.name for conditions in piece.values() for c in conditions}
            if names & linked:
                joined |= piece
            else:
                apart.append(piece)
        pieces = [*apart, {**joined, name: when}]
    return [{name: part[name] for name in part if name in piece} for piece in pieces]


def _decided(part: Part, name: str, value: Any) -> Part:
    """Return what is left to decide once a hyperparameter has a value: what cannot exist beside it is gone."""
    gone = {name}
    rest = {
        other: tuple(c for c in when if c.name != name)
        for other, when in part.items()
        if all(c.holds({name: value}) for c in when if c.name == name)
    }
    gone |= part.keys() - rest.keys()
    del rest[name]
    while dead := [other for other, when in rest.items() if any(c.name in gone for c in when)]:
        gone.update(dead)
        for other in dead:
            del rest[other]
    return rest


class Shuffle:
    """A permutation of the numbers from 0 to below ``count`` that follows from a seed, none of them written out.

    A Feistel network permutes the numbers of an even count of bits; one that lands beyond ``count`` goes on.
    """

    ROUNDS = 4

    def __init__(self, count: int, seed: int) -> None:
        self._count, self._seed = count, seed
        self._half = max(1, (max(count - 1, 1).bit_length() + 1) // 2)

    def at(self, index: int) -> int:
        """Return the number at a place of the permutation."""
        number = self._permuted(index)
        while number >= self._count:
            number = self._permuted(number)
        return number

    def _permuted(self, number: int) -> int:
        mask = (1 << self._half) - 1
        left, right = number >> self._half, number & mask
        for turn in range(self.ROUNDS):
            text = f"{self._seed}/{turn}/{right}".encode()
            digest = hashlib.shake_128(text).digest(self._half // 8 + 1)
            left, right = right, left ^ (int.from_bytes(digest, "big") & mask)
        return left << self._half | right
