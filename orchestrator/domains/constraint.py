"""What must hold of several hyperparameters together, as an expression over their names.

Expressions are a small language: parsed by Python, checked, and interpreted here, never run. It has names, numbers,
quoted texts, true, false and null; ``+ - * / // % **``, comparisons, ``and``, ``or``, ``not``, ``in`` a list, and a few
functions. There are no attributes, no other calls, and no number grows without bound.
"""

from __future__ import annotations

import ast
import itertools
import math
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any

from orchestrator.domains.finite import Choice, Fixed
from orchestrator.domains.values import CONSTANTS, InvalidDomain, same

LONGEST = 500
DEEPEST = 60
LARGEST_WHOLE = 2**53
_SUMS: dict[type[ast.operator], tuple[str, Callable[[Any, Any], Any]]] = {
    ast.Add: ("+", operator.add),
    ast.Sub: ("-", operator.sub),
    ast.Mult: ("*", operator.mul),
    ast.Div: ("/", operator.truediv),
    ast.FloorDiv: ("//", operator.floordiv),
    ast.Mod: ("%", operator.mod),
    ast.Pow: ("**", lambda base, exponent: _power(base, exponent)),
}
_ORDERS: dict[type[ast.cmpop], tuple[str, Callable[[Any, Any], bool]]] = {
    ast.Lt: ("<", operator.lt),
    ast.LtE: ("<=", operator.le),
    ast.Gt: (">", operator.gt),
    ast.GtE: (">=", operator.ge),
}
_EQUALS = (ast.Eq, ast.NotEq)
_MEMBERS = (ast.In, ast.NotIn)
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": abs,
    "log": math.log,
    "log10": math.log10,
    "max": max,
    "min": min,
    "sqrt": math.sqrt,
}
_OF_SEVERAL = ("max", "min")
_HINT = "it looks like units * hidden_layers <= 512"
MOST_TRIED = 256


@dataclass(frozen=True)
class Constraint:
    """An expression that is true of the hyperparameters that may be tried."""

    text: str
    tree: ast.expr = field(init=False, repr=False, compare=False)
    names: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.text, str):
            raise InvalidDomain("expected an expression over hyperparameters", self.text)
        object.__setattr__(self, "tree", parse_expression(self.text))
        object.__setattr__(self, "names", names_in(self.tree))

    def holds(self, hyperparameters: Mapping[str, Any]) -> bool:
        """Return whether it holds.

        It does not bind where a hyperparameter that it names is absent, and does not hold where it has no value, as
        with a division by zero.
        """
        if not self.binds(hyperparameters):
            return True
        try:
            return is_true(self.tree, hyperparameters)
        except (Undefined, Mistyped):
            return False

    def binds(self, hyperparameters: Mapping[str, Any]) -> bool:
        """Return whether all that it names is there."""
        return all(name in hyperparameters for name in self.names)

    def __str__(self) -> str:
        return self.text


def constraint_faults(
    constraints: Iterable[Constraint], known: Mapping[str, Any]
) -> Iterator[InvalidDomain]:
    """Yield why for each constraint on what no hyperparameter is called, or that mixes up kinds of values.

    ``known`` holds some values of each hyperparameter.
    """
    for constraint in constraints:
        unknown = [name for name in constraint.names if name not in known]
        if unknown:
            yield _unknown(unknown[0], constraint, known)
        else:
            yield from _mistyped(constraint, known)


def typical_values(domain: Any) -> tuple[Any, ...]:
    """Return values of a domain in which every kind of value that it has occurs."""
    match domain:
        case Fixed():
            return (domain.value,)
        case Choice():
            return domain.values
    return (domain.from_unit(0.5),)


def _mistyped(constraint: Constraint, known: Mapping[str, Any]) -> Iterator[InvalidDomain]:
    # Kinds differ among the values of a choice alone, of which every one is tried unless there are very many.
    mixes = itertools.product(*(known[name] for name in constraint.names))
    for mix in itertools.islice(mixes, MOST_TRIED):
        values = dict(zip(constraint.names, mix, strict=True))
        try:
            is_true(constraint.tree, values)
        except Undefined:
            continue
        except Mistyped as error:
            yield InvalidDomain(f"{error}, in {constraint.text!r}", values)
            return


def _unknown(name: str, constraint: Constraint, known: Mapping[str, Any]) -> InvalidDomain:
    a_text = any(name in values for values in known.values())
    hint = f" (a text stands in quotes: '{name}')" if a_text else ""
    expected = f"expected hyperparameters of the search space in {constraint.text!r}{hint}"
    return InvalidDomain(expected, name, known)


class Undefined(ArithmeticError):
    """An expression has no value for these hyperparameters: a division by zero, the logarithm of nothing."""


class Mistyped(TypeError):
    """An operator or a function was given what it does not take; the message is a clause."""


def parse_expression(text: str) -> ast.expr:
    """Return the checked tree of an expression that is true or false; raise ``InvalidDomain`` for any other text."""
    if len(text) > LONGEST:
        raise InvalidDomain(f"expected an expression of at most {LONGEST} characters", text)
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        fault = getattr(error, "msg", None) or "it is nested too deeply"
        fault = fault.replace("invalid syntax", "its syntax is invalid")
        raise InvalidDomain(f"expected an expression, but {fault}; {_HINT}", text) from None
    # From here on no node is left that is not of the language: what follows relies on it.
    _check(tree, text, DEEPEST)
    if not isinstance(tree, ast.Compare | ast.BoolOp | ast.Name | ast.UnaryOp) or (
        isinstance(tree, ast.UnaryOp) and not isinstance(tree.op, ast.Not)
    ):
        raise InvalidDomain(f"expected an expression that is true or false; {_HINT}", text)
    return tree


def names_in(tree: ast.expr) -> tuple[str, ...]:
    """Return the hyperparameters that an expression names, each once."""
    functions = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    names = (
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and id(node) not in functions and node.id not in CONSTANTS
    )
    return tuple(dict.fromkeys(names))


def is_true(tree: ast.expr, values: Mapping[str, Any]) -> bool:
    """Return whether an expression holds; raise ``Undefined`` or ``Mistyped`` where that cannot be said."""
    try:
        return _truth(_value(tree, values), "the whole expression")
    except (ZeroDivisionError, OverflowError, ValueError) as error:
        raise Undefined(str(error)) from None


def _check(node: ast.expr, text: str, depth: int, may_be_list: bool = False) -> None:
    """Refuse every kind of node that is not of the language."""
    if depth == 0:
        raise InvalidDomain(f"expected an expression nested at most {DEEPEST} deep", text)
    fault = None if may_be_list and isinstance(node, ast.List | ast.Tuple) else _fault(node)
    if fault is not None:
        raise InvalidDomain(fault, text)
    lists = (
        {id(right) for op, right in zip(node.ops, node.comparators, strict=True) if _is_in(op)}
        if isinstance(node, ast.Compare)
        else set()
    )
    for child in _children(node):
        _check(child, text, depth - 1, id(child) in lists)


def _children(node: ast.expr) -> Iterator[ast.expr]:
    if isinstance(node, ast.Call):
        # The function's name is no hyperparameter.
        yield from node.args
        return
    yield from (child for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr))


def _is_in(op: ast.cmpop) -> bool:
    return isinstance(op, _MEMBERS)


def _fault(node: ast.expr) -> str | None:
    """Return why a node is not of the language; None where it is."""
    match node:
        case ast.Constant(value=value):
            plain = value is None or isinstance(value, bool | int | float | str)
            return None if plain else "expected numbers and quoted texts"
        case ast.Name() | ast.BoolOp() | ast.UnaryOp(op=ast.Not() | ast.USub() | ast.UAdd()):
            return None
        case ast.BinOp(op=op) if type(op) in _SUMS:
            return None
        case ast.Compare(ops=ops, comparators=rights):
            return _comparison_fault(ops, rights)
        case ast.Call(func=ast.Name(id=name), args=args, keywords=keywords):
            return _call_fault(name, args, keywords)
        case ast.List() | ast.Tuple():
            return "expected a list nowhere but after in"
        case ast.BinOp():
            return "expected and, or and not, or one of + - * / // % **, between two values"
        case ast.Attribute():
            return "expected no dot: names stand for hyperparameters alone"
    return (
        "expected names, numbers, quoted texts, + - * / // % **, comparisons, and, or, not, in,"
        f" {', '.join(_FUNCTIONS)}, and nothing else"
    )


def _comparison_fault(ops: list[ast.cmpop], rights: list[ast.expr]) -> str | None:
    for op, right in zip(ops, rights, strict=True):
        if isinstance(op, ast.Is | ast.IsNot):
            return "expected == or != in place of is"
        if _is_in(op) and not isinstance(right, ast.List | ast.Tuple):
            return "expected a list after in, such as batch_size in [32, 64]"
    return None


def _call_fault(name: str, args: list[ast.expr], keywords: list[ast.keyword]) -> str | None:
    if name not in _FUNCTIONS:
        return f"expected no functions but {', '.join(_FUNCTIONS)}"
    several = name in _OF_SEVERAL
    if keywords or (len(args) < 2 if several else len(args) != 1):
        return f"expected {name} of {'two values or more' if several else 'one value'}"
    return None


def _value(node: ast.expr, values: Mapping[str, Any]) -> Any:
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name):
            return CONSTANTS[name] if name in CONSTANTS else values[name]
        case ast.BoolOp(op=ast.And(), values=parts):
            return all(_truth(_value(part, values), "each side of and") for part in parts)
        case ast.BoolOp(values=parts):
            return any(_truth(_value(part, values), "each side of or") for part in parts)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return not _truth(_value(operand, values), "what follows not")
        case ast.UnaryOp(op=op, operand=operand):
            number = _number(_value(operand, values), "a sign")
            return -number if isinstance(op, ast.USub) else number
        case ast.BinOp(left=left, op=op, right=right):
            sign, function = _SUMS[type(op)]
            sides = [_number(_value(side, values), sign) for side in (left, right)]
            return _finite(function(*sides))
        case ast.Compare():
            return _compared(node, values)
        case ast.Call(func=ast.Name(id=name), args=args):
            numbers = [_number(_value(arg, values), name) for arg in args]
            return _finite(_FUNCTIONS[name](*numbers))
    raise Mistyped(f"expected no {type(node).__name__}")


def _compared(node: ast.Compare, values: Mapping[str, Any]) -> bool:
    left = _value(node.left, values)
    for op, comparator in zip(node.ops, node.comparators, strict=True):
        if isinstance(comparator, ast.List | ast.Tuple):
            listed = [_value(item, values) for item in comparator.elts]
            holds = any(same(left, item) for item in listed) is isinstance(op, ast.In)
            right: Any = None
        else:
            right = _value(comparator, values)
            holds = _holds(op, left, right)
        if not holds:
            return False
        left = right
    return True


def _holds(op: ast.cmpop, left: Any, right: Any) -> bool:
    if isinstance(op, _EQUALS):
        return same(left, right) is isinstance(op, ast.Eq)
    sign, compares = _ORDERS[type(op)]
    return compares(_number(left, sign), _number(right, sign))


def _truth(value: Any, what: str) -> bool:
    if not isinstance(value, bool):
        raise Mistyped(f"expected true or false for {what}, where it is {value!r}")
    return value


def _number(value: Any, sign: str) -> Any:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise Mistyped(f"expected numbers for {sign}, where one is {value!r}")
    return int(value) if isinstance(value, Integral) else float(value)


def _finite(value: Any) -> Any:
    """Return a number, a whole one of at most 2**53 as it is; raise where it is none, or beyond all measure."""
    if isinstance(value, int) and abs(value) <= LARGEST_WHOLE:
        return value
    number = float(value)
    if not math.isfinite(number):
        raise Undefined("too large")
    return number


def _power(base: Any, exponent: Any) -> Any:
    """Return a power without ever forming a whole number of more digits than a float can tell."""
    # Raises OverflowError at once for 9**9**9, which Python would work on for hours.
    power = math.pow(base, exponent)
    whole = isinstance(base, int) and isinstance(exponent, int) and exponent >= 0
    return base**exponent if whole and abs(power) <= LARGEST_WHOLE else power
