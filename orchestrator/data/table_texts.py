"""What the texts of a column look like: numbers in which writing, gaps, dates, or words."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Decimal = Literal[".", ","]

_LETTERS = "na n/a n.a. #n/a #na <na> nan -nan nat null (null) none nil missing unknown \\n"
_MARKS = "? - -- --- \u2013 . .. 1.#ind -1.#ind 1.#qnan -1.#qnan"
GAPS = frozenset({"", "#n/a n/a", *_LETTERS.split(" "), *_MARKS.split(" ")})

_SIGN = "[+\\-\u2212]?"
_END = "([eE][+-]?\\d+)?$"
_SPACE = "[ \u00a0\u2009\u202f]"
_BY_SPACES = f"[1-9]\\d{{0,2}}({_SPACE}\\d{{3}})+|[1-9]\\d{{0,2}}(['\u2019]\\d{{3}})+"
_FORMS = {
    "whole": f"^{_SIGN}(\\d+{_END[:-1]}|(?i:inf|infinity))$",
    "point3": f"^{_SIGN}[1-9]\\d{{0,2}}\\.\\d{{3}}$",
    "comma3": f"^{_SIGN}[1-9]\\d{{0,2}},\\d{{3}}$",
    "point": f"^{_SIGN}(\\d+\\.\\d*|\\.\\d+){_END}",
    "comma": f"^{_SIGN}(\\d+,\\d+|,\\d+){_END}",
    "points": f"^{_SIGN}[1-9]\\d{{0,2}}((\\.\\d{{3}})+,\\d+|(\\.\\d{{3}}){{2,}})$",
    "commas": f"^{_SIGN}[1-9]\\d{{0,2}}((,\\d{{3}})+\\.\\d+|(,\\d{{3}}){{2,}})$",
    "spaced": f"^{_SIGN}({_BY_SPACES})$",
    "spaced point": f"^{_SIGN}({_BY_SPACES})\\.\\d+$",
    "spaced comma": f"^{_SIGN}({_BY_SPACES}),\\d+$",
}
_POINT3 = re.compile(_FORMS["point3"])
_SURE: dict[Decimal, tuple[str, ...]] = {
    ".": ("point", "commas", "spaced point"),
    ",": ("comma", "points", "spaced comma"),
}
_EITHER = ("whole", "point3", "comma3", "spaced")
_AMOUNT = "[+\\-\u2212]?\\d[\\d.,' \u00a0]*"
_CURRENCY = "([$\u20ac\u00a3\u00a5\u20b9]|(?i:usd|eur|gbp|chf|jpy|inr|cny|kr\\.?|z\u0142))"
_MONEY = f"^[+-]?{_CURRENCY}\\s*{_AMOUNT}$|^{_AMOUNT}\\s*({_CURRENCY}|%)$"
_MONTH = "(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\\.?"
_CLOCK = "\\d{1,2}:\\d{2}(:\\d{2}(\\.\\d+)?)?\\s*([AaPp][Mm]|Z|[+-]\\d{2}:?\\d{2})?"
_DAY = (
    "\\d{4}[-/.]\\d{1,2}[-/.]\\d{1,2}|\\d{1,2}[-/.]\\d{1,2}[-/.](\\d{4}|\\d{2})"
    "|(19|20)\\d{2}[-/](0[1-9]|1[0-2])"
    f"|\\d{{1,2}}\\.?[ -]{_MONTH}[ -]\\d{{2,4}}|{_MONTH} \\d{{1,2}},? \\d{{4}}"
)
_DATE = f"^(({_DAY})([T ]+{_CLOCK})?|{_CLOCK})$"
_EXAMPLES = 3
MOST_NAMES = 20


class Tally:
    """What has been read of a column's texts; ``add`` takes a pyarrow array of strings.

    With ``exact``, ``whole`` says at the end whether all values are numbers that int64 holds.
    """

    def __init__(self, exact: bool = False) -> None:
        self.whole = exact
        self.rows = 0
        self.gaps: Counter[str] = Counter()
        self.forms: Counter[str] = Counter()
        self.odd: dict[str, None] = {}
        self.numbers: set[str] = set()
        self.plain = True

    def add(self, texts: Any) -> None:
        """Count the texts of some rows. Numbers as Python writes them cost least."""
        self.rows += len(texts)
        self.whole = self.whole and _are_whole(texts)
        if not self.plain or not self._all_plain(texts):
            self._add_each(texts)

    @property
    def there(self) -> int:
        """How many values are no gaps."""
        return self.rows - sum(self.gaps.values())

    def count(self, decimal: Decimal) -> int:
        """Return how many values are numbers where ``decimal`` is the decimal mark."""
        return sum(self.forms[form] for form in (*_EITHER, *_SURE[decimal]))

    def sure(self) -> set[Decimal]:
        """Return the decimal marks for which some value can be read in no other way."""
        return {sign for sign, forms in _SURE.items() if any(self.forms[form] for form in forms)}

    def fractions(self) -> bool:
        """Return whether some number has a fraction or groups of thousands."""
        return any(self.forms[form] for form in _FORMS if form != "whole")

    def measured(self) -> bool:
        """Return whether numbers are measurements, not a few names: by their fractions, or by how many differ."""
        return self.fractions() or len(self.numbers) > MOST_NAMES

    def _all_plain(self, texts: Any) -> bool:
        """Count a chunk that holds nothing but plain numbers; False: nothing was counted."""
        import pyarrow as pa

        if texts.null_count or not len(texts):
            return False
        try:
            values = texts.cast(pa.float64()).to_numpy(zero_copy_only=False)
        except pa.ArrowInvalid:
            return False
        if np.isnan(values.sum()):
            return False
        self.forms[self._point_form(texts)] += len(texts)
        if len(self.numbers) <= MOST_NAMES:
            self.numbers.update(texts.slice(0, 2 * MOST_NAMES).to_pylist())
        return True

    def _point_form(self, texts: Any) -> str:
        """Return what the chunk proves: a decimal point, maybe one, or neither."""
        import pyarrow.compute as pc

        if self.forms["point"]:
            return "point"
        first = [text for text in texts.slice(0, 8).to_pylist() if "." in text]
        if any(not _POINT3.fullmatch(text) for text in first):
            return "point"
        dotted = texts.filter(pc.match_substring(texts, "."))
        if not len(dotted):
            return "whole"
        three = pc.all(pc.match_substring_regex(dotted, _FORMS["point3"])).as_py()
        return "point3" if three else "point"

    def _add_each(self, texts: Any) -> None:
        """Count a chunk by its different texts."""
        import pyarrow.compute as pc

        counted = pc.value_counts(texts.fill_null(""))
        raw, counts = counted.field(0), counted.field(1).to_numpy(zero_copy_only=False)
        trimmed = pc.utf8_trim_whitespace(raw)
        rest = ~_in_gaps(trimmed)
        for text, count in zip(raw.filter(_mask(~rest)).to_pylist(), counts[~rest], strict=True):
            self.gaps[text] += int(count)
        for form, pattern in (*_FORMS.items(), ("money", _MONEY), ("date", _DATE)):
            if not rest.any():
                return
            found = rest & _matches(trimmed, pattern)
            self.forms[form] += int(counts[found].sum())
            if form in _FORMS and found.any() and len(self.numbers) <= MOST_NAMES:
                self.numbers.update(raw.filter(_mask(found)).slice(0, 2 * MOST_NAMES).to_pylist())
            self._note_odd(form, raw, found)
            rest &= ~found
        self.plain = False
        flags = rest & _matches(trimmed, "^(?i:true|false)$")
        self.forms["flag"] += int(counts[flags].sum())
        self.forms["word"] += int(counts[rest & ~flags].sum())
        self._note_odd("word", raw, rest & ~flags)

    def _note_odd(self, form: str, raw: Any, found: npt.NDArray[np.bool_]) -> None:
        if form not in _FORMS and found.any() and len(self.odd) < _EXAMPLES:
            self.odd.update(dict.fromkeys(raw.filter(_mask(found)).slice(0, _EXAMPLES).to_pylist()))


def to_numbers(texts: Any, decimal: Decimal) -> Any:
    """Return a pyarrow array of float64 from texts: null for a gap, and for what is no number."""
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        if decimal == ".":
            return texts.cast(pa.float64())
    except pa.ArrowInvalid:
        pass
    trimmed = pc.utf8_trim_whitespace(texts)
    forms = "|".join(_FORMS[form] for form in (*_EITHER, *_SURE[decimal]))
    known = pc.and_kleene(
        pc.match_substring_regex(trimmed, forms),
        pc.invert(pc.is_in(pc.utf8_lower(trimmed), value_set=pa.array(sorted(GAPS)))),
    )
    bare = pc.replace_substring_regex(trimmed, f"[+'\u2019]|{_SPACE}", "")
    bare = pc.replace_substring(bare, "\u2212", "-")
    bare = pc.replace_substring(bare, "," if decimal == "." else ".", "")
    bare = pc.replace_substring(bare, ",", ".") if decimal == "," else bare
    return pc.cast(pc.if_else(known, bare, pa.scalar(None, pa.string())), pa.float64())


def to_flags(texts: Any) -> Any:
    """Return a pyarrow array of booleans from ``true`` and ``false`` in any case; else null."""
    import pyarrow as pa
    import pyarrow.compute as pc

    lower = pc.utf8_lower(pc.utf8_trim_whitespace(texts))
    true, false = pc.equal(lower, "true"), pc.equal(lower, "false")
    return pc.if_else(pc.or_(true, false), true, pa.scalar(None, pa.bool_()))


def to_whole(texts: Any) -> Any:
    """Return a pyarrow array of int64 from texts that are whole numbers or gaps."""
    import pyarrow as pa
    import pyarrow.compute as pc

    trimmed = pc.utf8_trim_whitespace(texts)
    gaps = pc.is_in(pc.utf8_lower(trimmed), value_set=pa.array(sorted(GAPS)))
    return pc.cast(pc.if_else(gaps, pa.scalar(None, pa.string()), trimmed), pa.int64())


def _are_whole(texts: Any) -> bool:
    import pyarrow as pa

    try:
        to_whole(texts)
    except pa.ArrowInvalid:
        return False
    return True


def _in_gaps(trimmed: Any) -> npt.NDArray[np.bool_]:
    import pyarrow as pa
    import pyarrow.compute as pc

    return _array(pc.is_in(pc.utf8_lower(trimmed), value_set=pa.array(sorted(GAPS))))


def _matches(trimmed: Any, pattern: str) -> npt.NDArray[np.bool_]:
    import pyarrow.compute as pc

    return _array(pc.match_substring_regex(trimmed, pattern))


def _array(flags: Any) -> npt.NDArray[np.bool_]:
    return np.asarray(flags.to_numpy(zero_copy_only=False), dtype=bool)


def _mask(flags: npt.NDArray[np.bool_]) -> Any:
    import pyarrow as pa

    return pa.array(flags)
