"""What a column of texts is taken for: numbers, true/false or words; in doubt the user is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from orchestrator.data.messages import refused, several
from orchestrator.data.table_texts import Decimal, Tally

if TYPE_CHECKING:
    from orchestrator.config.data_options import DataOptions
    from orchestrator.errors import DataError

Kind = Literal["number", "whole", "flag", "text"]

NEARLY_ALL = 0.9
HALF = 0.5


@dataclass(frozen=True)
class Column:
    """A column and what it holds: numbers, whole numbers, true/false, or text.

    ``decimal`` is the decimal mark and ``gaps`` what stands for no value, where the
    values are written as texts.
    """

    name: str
    kind: Kind
    decimal: Decimal = "."
    gaps: tuple[str, ...] = ()


@dataclass(frozen=True)
class Judge:
    """Decides what columns of texts are.

    ``declared``: their types were the user's own choice (Parquet, pandas), so that whole numbers
    among them are words, and other numbers are asked about.
    """

    where: str
    asked: Mapping[str, str]
    decimal: Literal["auto", ".", ","]
    declared: bool = False

    def columns(self, tallies: Mapping[str, Tally], targets: set[str]) -> dict[str, Column]:
        """Return each column's kind; one of ``targets`` (label, weight) is never asked about."""
        signs = {sign for tally in tallies.values() for sign in _only_sign(tally)}
        found: dict[str, Column] = {}
        for name, tally in tallies.items():
            decimal = self._decimal(name, tally, signs)
            kind = self._kind(name, tally, decimal, name in targets)
            gaps = tuple(sorted(text for text in tally.gaps if text.strip()))
            if kind == "number" and name in targets and tally.whole:
                kind = "whole"
            numeric = kind != "text"
            found[name] = Column(name, kind, decimal, gaps if numeric else ())
        return found

    def _decimal(self, name: str, tally: Tally, signs: set[Decimal]) -> Decimal:
        """Return the decimal mark: the column's own, else the one asked for or that of the other columns."""
        own = tally.sure()
        if len(own) == 1:
            return own.pop()
        if self.decimal != "auto":
            return self.decimal
        if not own and signs == {","} and tally.forms["point3"] and not tally.forms["comma3"]:
            return ","
        unclear = not own and tally.forms["comma3"] and len(signs) != 1
        numbers = tally.there and tally.count(".") >= NEARLY_ALL * tally.there
        if unclear and numbers and self.asked.get(name) != "text":
            raise self._doubt(
                name,
                "an unambiguous decimal mark was expected",
                "numbers such as 1,234, which may be thousands or a fraction",
                'Write data.decimal: "." for thousands, data.decimal: "," for a fraction',
            )
        return "," if not own and tally.forms["comma3"] and signs == {","} else "."

    def _kind(self, name: str, tally: Tally, decimal: Decimal, target: bool) -> Kind:
        asked = self.asked.get(name)
        if asked is not None:
            return "number" if asked == "number" else "text"
        there, numbers = tally.there, tally.count(decimal)
        if there and tally.forms["flag"] == there:
            return "flag"
        if not there and any(text.strip() for text in tally.gaps):
            return "text"
        if numbers == there:
            return self._kind_of_numbers(name, tally)
        if target:
            return "text"
        self._refuse_others(name, tally, numbers)
        share = numbers / there
        if share >= NEARLY_ALL or (share >= HALF and tally.measured()):
            raise self._mixed(name, tally, numbers)
        return "text"

    def _kind_of_numbers(self, name: str, tally: Tally) -> Kind:
        if not self.declared or not tally.there:
            return "number"
        if not tally.fractions() and not any(text.strip() for text in tally.gaps):
            return "text"
        example = next((text for text in tally.gaps if text.strip()), None)
        received = "numbers that are kept as text"
        received += f", with gaps such as {example!r}" if example else ""
        raise self._doubt(name, "a column of numbers was expected", received, self._either(name))

    def _refuse_others(self, name: str, tally: Tally, numbers: int) -> None:
        """Refuse dates, and amounts with currency or percent signs."""
        most = NEARLY_ALL * tally.there
        drop = f"leave it out with data.drop: [{name}]"
        if tally.forms["date"] >= most:
            what = "dates or times"
            advice = "Turn it into numbers (days since, month, hour) in the file or in a loader, or"
            raise self._doubt(name, "numbers or words were expected", what, f"{advice} {drop}")
        if tally.forms["money"] and tally.forms["money"] + numbers >= most:
            what = "numbers with currency or percent signs"
            advice = "Remove the signs from the file, or"
            words = f"{drop}, or write data.columns: {{{name}: text}} for categories"
            raise self._doubt(name, "bare numbers were expected", what, f"{advice} {words}", tally)
        both = self.decimal == "auto" and len(tally.sure()) == 2
        if both and tally.count(".") + tally.forms["comma"] >= most:
            expected = "one decimal mark in a column was expected"
            advice = 'Write data.decimal: "." or "," and'
            raise self._doubt(
                name, expected, "both 1.5 and 1,5", f"{advice} data.columns: {{{name}: number}}"
            )

    def _mixed(self, name: str, tally: Tally, numbers: int) -> DataError:
        odd = tally.there - numbers
        rows = f"{odd:,} of {tally.rows:,} rows"
        examples = several([repr(text) for text in tally.odd], 3)
        return self._doubt(
            name,
            f"numbers were expected, as in {numbers:,} rows",
            f"invalid value {examples} in {rows}",
            self._either(name),
        )

    def _either(self, name: str) -> str:
        key = f"{{{name}: number}}"
        other = f"{{{name}: text}}"
        return f"Write data.columns: {key} to take what is no number for a gap, or {other}"

    def _doubt(
        self, name: str, expected: str, received: str, advice: str, tally: Tally | None = None
    ) -> DataError:
        if tally is not None and tally.odd:
            received += f", such as {next(iter(tally.odd))!r}"
        where = f"{self.where}, column {name!r}"
        return refused(where, expected, received, f"{advice}.")


def judge(where: str, options: DataOptions, declared: bool = False) -> Judge:
    """Return who decides by the experiment's options."""
    return Judge(where, options.columns, options.decimal, declared)


def _only_sign(tally: Tally) -> set[Decimal]:
    signs = tally.sure()
    return signs if len(signs) == 1 else set()
