"""Templates: a small, closed part of Jinja that operators may write without harm.

Whoever may edit a message must not be able to run code, read what is not theirs, or hold up
a worker. So a template's syntax tree is checked against a list of what is allowed, before
anything is compiled: words of the person, filters of ours, `if`, and one loop over `tags`.
"""

from __future__ import annotations

import math
import re
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from jinja2 import StrictUndefined, Template, nodes
from jinja2.exceptions import TemplateError as JinjaError
from jinja2.exceptions import TemplateSyntaxError, UndefinedError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import pass_context

from ..errors import InvalidMessage
from .filters import FILTERS
from .slots import Slots

MAX_SOURCE_BYTES: Final = 64 * 1024
"""Far more than anybody writes; keeps the parser's time short."""
MAX_OUTPUT_BYTES: Final = 256 * 1024
"""A mail above this is cut off by mail programs anyway."""
MAX_NODES: Final = 2000
MAX_DEPTH: Final = 30
"""Nesting of expressions and blocks; Python's own compiler gives up not far above it."""
MAX_TAG: Final = 4000
"""Characters between one pair of braces."""
MAX_CONSTANT: Final = 2000
"""Characters of one quoted text, digits of one number."""

_SLOTS: Final = "%slots"  # no template can write this name
_LOOPED: Final = "tags"
_TAG_OPENS: Final = re.compile(r"\{[{%]")
_TAG_CLOSES: Final = re.compile(r"[}%]\}")

_ALLOWED: Final[frozenset[type[nodes.Node]]] = frozenset(
    {
        nodes.Template,
        nodes.Output,
        nodes.TemplateData,
        nodes.Name,
        nodes.Const,
        nodes.Getattr,
        nodes.Getitem,
        nodes.Filter,
        nodes.Keyword,
        nodes.Test,
        nodes.If,
        nodes.CondExpr,
        nodes.For,
        nodes.Compare,
        nodes.Operand,
        nodes.And,
        nodes.Or,
        nodes.Not,
        nodes.Neg,
        nodes.Tuple,
        nodes.List,
    }
)
_TESTS: Final = frozenset({"defined", "undefined", "none", "true", "false"})
#: What Jinja itself puts into a template's hands.
_RESERVED: Final = frozenset({"loop", "self", "super", "caller", "varargs", "kwargs", "context"})
_SPOKEN: Final[Mapping[type[nodes.Node], str]] = {
    nodes.Call: "a call, (…)",
    nodes.Concat: "joining with ~",
    nodes.Add: "arithmetic (+)",
    nodes.Sub: "arithmetic (-)",
    nodes.Mul: "arithmetic (*)",
    nodes.Div: "arithmetic (/)",
    nodes.FloorDiv: "arithmetic (//)",
    nodes.Mod: "arithmetic (%)",
    nodes.Pow: "arithmetic (**)",
    nodes.Assign: "{% set %}",
    nodes.AssignBlock: "{% set %}",
    nodes.Include: "{% include %}",
    nodes.Import: "{% import %}",
    nodes.FromImport: "{% from … import %}",
    nodes.Extends: "{% extends %}",
    nodes.Block: "{% block %}",
    nodes.Macro: "{% macro %}",
    nodes.CallBlock: "{% call %}",
    nodes.FilterBlock: "{% filter %}",
    nodes.With: "{% with %}",
    nodes.ScopedEvalContextModifier: "{% autoescape %}",
    nodes.Dict: "a dictionary, {…}",
    nodes.Slice: "a slice, [a:b]",
}


class TemplateError(InvalidMessage):
    """A template can't be used as written, or not for this person; ``line`` says where."""

    def __init__(self, problem: str, line: int | None = None, what: str | None = None) -> None:
        where = ", ".join(filter(None, (what, f"line {line}" if line else None)))
        super().__init__(f"{where}: {problem}" if where else problem)
        self.problem = problem
        self.line = line
        """Line of the template, counted from 1; ``None`` if it is the whole."""


@pass_context
def _put_in_slot(context: Context, value: Any) -> str:
    text = str(_spoken_value(value))
    slots = context.get(_SLOTS)
    return text if slots is None else str(slots.put(text))


def _spoken_value(value: Any) -> Any:
    # An attribute that counts is kept as a float as often as not: nobody has "3.0" invites.
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return int(value)
    return value


class _Environment(ImmutableSandboxedEnvironment):
    """Jinja without anything but what the person's words and our filters give."""

    def __init__(self) -> None:
        super().__init__(
            undefined=StrictUndefined,
            autoescape=False,  # what a value may do is decided where it is put (slots)
            finalize=_put_in_slot,
            keep_trailing_newline=True,
            cache_size=0,
        )
        self.globals = {}
        self.filters = dict(FILTERS)
        self.tests = {name: test for name, test in self.tests.items() if name in _TESTS}

    def getattr(self, obj: Any, attribute: str) -> Any:
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, Mapping) and isinstance(argument, str) and argument in obj:
            return obj[argument]
        return self.undefined(obj=obj, name=argument)


_ENVIRONMENT: Final = _Environment()


@dataclass(frozen=True, slots=True)
class Compiled:
    """A template that has passed the check."""

    template: Template
    names: frozenset[str]

    def fill(self, context: Mapping[str, Any], slots: Slots | None = None) -> str:
        """Return the text for one person; with `slots`, values are kept apart in it.

        :raises TemplateError: if a word is missing, or the text gets too long.
        """
        try:
            return "".join(self._bounded({**context, _SLOTS: slots}))
        except TemplateError:
            raise
        except UndefinedError as error:
            raise TemplateError(_missing(error), _line_of(error)) from error
        except (JinjaError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
            raise TemplateError(f"this can't be computed: {error}", _line_of(error)) from error

    def _bounded(self, context: dict[str, Any]) -> Iterator[str]:
        size = 0
        for part in self.template.generate(context):
            size += len(part.encode("utf-8", "surrogatepass"))
            if size > MAX_OUTPUT_BYTES:
                raise TemplateError(f"the text gets longer than {MAX_OUTPUT_BYTES} bytes.")
            yield part


@lru_cache(maxsize=512)
def compile_template(source: str) -> Compiled:
    """Return the checked and compiled form of `source`; cached.

    :raises TemplateError: naming the line, if the source holds anything that isn't allowed.
    """
    if len(source.encode("utf-8", "surrogatepass")) > MAX_SOURCE_BYTES:
        raise TemplateError(f"the text is longer than {MAX_SOURCE_BYTES} bytes.")
    if Slots.collides(source):
        raise TemplateError("the text holds characters that no text should (U+FDD0, U+FDD1).")
    _check_size(source)
    try:
        tree = _ENVIRONMENT.parse(source)
        names = frozenset(_check(tree))
        return Compiled(_ENVIRONMENT.from_string(tree), names)
    except TemplateError:
        raise
    except TemplateSyntaxError as error:
        raise TemplateError(f"{error.message}.", error.lineno) from error
    except RecursionError as error:
        raise TemplateError("this is nested too deeply.") from error
    except JinjaError as error:
        raise TemplateError(str(error)) from error
    except (SyntaxError, MemoryError, ValueError, OverflowError) as error:
        # What Python's own compiler or number parser says of an absurd expression.
        raise TemplateError("this can't be compiled.") from error


def _check_size(source: str) -> None:
    """Refuse at a glance what the parser would take long for, only to be refused after it."""
    _, *tags = _TAG_OPENS.split(source)
    if len(tags) > MAX_NODES:
        raise TemplateError(f"the template has more than {MAX_NODES} parts.")
    if any(len(_TAG_CLOSES.split(tag, maxsplit=1)[0]) > MAX_TAG for tag in tags):
        raise TemplateError(f"something in braces is longer than {MAX_TAG} characters.")


def names_used(source: str) -> frozenset[str]:
    """Return the names that a template asks for: ``name``, and ``attrs['plan']`` for custom ones.

    :raises TemplateError: as :func:`compile_template`.
    """
    return compile_template(source).names


def _check(tree: nodes.Template) -> Iterator[str]:
    """Walk the tree without recursion; yield the names it uses.

    :raises TemplateError: at the first node that isn't allowed.
    """
    count = 0
    stack: list[tuple[nodes.Node, int, frozenset[str]]] = [(tree, 0, frozenset())]
    while stack:
        node, depth, bound = stack.pop()
        count += 1
        line = getattr(node, "lineno", None)
        if count > MAX_NODES:
            raise TemplateError(f"the template has more than {MAX_NODES} parts.", line)
        if depth > MAX_DEPTH:
            raise TemplateError("this is nested too deeply.", line)
        _check_node(node, bound)
        yield from _name_of(node, bound)
        if isinstance(node, nodes.For):
            bound = bound | {str(getattr(node.target, "name", ""))}
        stack.extend((child, depth + 1, bound) for child in node.iter_child_nodes())


def _check_node(node: nodes.Node, bound: frozenset[str]) -> None:
    line = getattr(node, "lineno", None)
    if type(node) not in _ALLOWED:
        spoken = _SPOKEN.get(type(node), f"{type(node).__name__.lower()}")
        raise TemplateError(f"{spoken} isn't allowed in a message.", line)
    if isinstance(node, nodes.Name) and (node.name.startswith("_") or node.name in _RESERVED):
        raise TemplateError(f"the name {node.name!r} isn't allowed.", line)
    if isinstance(node, nodes.Const):
        _check_constant(node.value, line)
    elif isinstance(node, (nodes.Getattr, nodes.Getitem)):
        _check_lookup(node, line)
    elif isinstance(node, nodes.Filter):
        _check_filter(node, line)
    elif isinstance(node, nodes.Test) and (node.name not in _TESTS or node.args or node.kwargs):
        raise TemplateError(
            f"the test 'is {node.name}' is unknown; there are: {', '.join(sorted(_TESTS))}.", line
        )
    elif isinstance(node, nodes.For):
        _check_loop(node, bound, line)


def _check_constant(value: Any, line: int | None) -> None:
    if isinstance(value, str) and len(value) > MAX_CONSTANT:
        raise TemplateError(f"a quoted text is longer than {MAX_CONSTANT} characters.", line)
    if isinstance(value, int) and value.bit_length() > MAX_CONSTANT:
        raise TemplateError("a number has too many digits.", line)
    if isinstance(value, float) and not math.isfinite(value):
        raise TemplateError("a number is too large.", line)


def _check_lookup(node: nodes.Getattr | nodes.Getitem, line: int | None) -> None:
    if isinstance(node, nodes.Getattr):
        key: Any = node.attr
    else:
        key = node.arg.value if isinstance(node.arg, nodes.Const) else None
    if not isinstance(node.node, nodes.Name) or not isinstance(key, str) or key.startswith("_"):
        raise TemplateError("only attrs['a name'] or attrs.name can be looked up.", line)


def _check_filter(node: nodes.Filter, line: int | None) -> None:
    if node.node is None or node.dyn_args is not None or node.dyn_kwargs is not None:
        raise TemplateError("a filter is written: value | filter(argument).", line)
    if node.name not in FILTERS:
        raise TemplateError(
            f"the filter {node.name!r} is unknown; there are: {', '.join(sorted(FILTERS))}.", line
        )


def _check_loop(node: nodes.For, bound: frozenset[str], line: int | None) -> None:
    if bound:
        raise TemplateError("a loop inside of a loop isn't allowed.", line)
    looped = node.iter.name if isinstance(node.iter, nodes.Name) else None
    if looped != _LOOPED or not isinstance(node.target, nodes.Name) or node.recursive:
        raise TemplateError("only tags can be looped over: {% for tag in tags %}.", line)


def _name_of(node: nodes.Node, bound: frozenset[str]) -> Iterator[str]:
    if isinstance(node, nodes.Name) and node.ctx == "load" and node.name not in bound:
        yield node.name
    elif isinstance(node, nodes.Getattr) and isinstance(node.node, nodes.Name):
        yield f"{node.node.name}[{node.attr!r}]"
    elif isinstance(node, nodes.Getitem) and isinstance(node.node, nodes.Name):
        key = node.arg.value if isinstance(node.arg, nodes.Const) else ""
        yield f"{node.node.name}[{key!r}]"


def _missing(error: UndefinedError) -> str:
    # Jinja says "'name' is undefined" or "'dict object' has no attribute 'plan'".
    words = str(error.message)
    name = words.rsplit("'", 2)[1] if "has no" in words else words.split("'")[1:2]
    label = f"attrs[{name!r}]" if isinstance(name, str) else repr(name[0] if name else "a value")
    return f"{label} is not known of this person; give a fallback: | default('…')."


def _line_of(error: BaseException) -> int | None:
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename == "<template>":
            return frame.lineno
    return None
