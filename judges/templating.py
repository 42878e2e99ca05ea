"""Prompt templates of users: Jinja2's immutable sandbox, plain data only, in limits.

Of the language only what a prompt needs is allowed, checked on the syntax tree before anything is
compiled: no macros, imports or blocks, listed filters, tests and methods. What remains is metered
while it runs: steps of loops, characters and entries made, the time, the output.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from contextvars import ContextVar
from difflib import get_close_matches
from functools import lru_cache
from time import monotonic
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateError, nodes
from jinja2.exceptions import SecurityError, TemplateSyntaxError, UndefinedError
from jinja2.meta import find_undeclared_variables
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from judges.template_trees import Fence, Meter, entries_used

DEFAULT_TEMPLATE = "{{ input }}"
PROMPT_NAMES = frozenset({"input", "choices", "section", "id", "metadata"})

MAX_SOURCE = 20_000
MAX_OUTPUT = 1_000_000
MAX_MADE = 4_000_000  # characters and list entries made on the way, over one rendering
MAX_STEPS = 100_000
MAX_SECONDS = 1.0
MAX_RANGE = 1_000
MAX_NUMBER = 10**30
INLINE = 60  # characters of fenced text that stay on the line

NODES: tuple[type[nodes.Node], ...] = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.List, nodes.Tuple,
    nodes.Dict, nodes.Pair, nodes.Keyword, nodes.Getattr, nodes.Getitem, nodes.Slice, nodes.For, nodes.If,
    nodes.Assign, nodes.CondExpr, nodes.Filter, nodes.Test, nodes.Compare, nodes.Operand, nodes.And, nodes.Or,
    nodes.Not, nodes.Neg, nodes.Pos, nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod,
    nodes.Concat, nodes.Call,
)  # fmt: skip
FILTERS = frozenset({
    "abs", "capitalize", "count", "d", "default", "dictsort", "first", "float", "int", "join", "last",
    "length", "list", "lower", "max", "min", "replace", "reverse", "round", "sort", "string", "sum",
    "title", "tojson", "trim", "unique", "upper", "wordcount",
})  # fmt: skip
TESTS = frozenset({
    "boolean", "defined", "divisibleby", "eq", "equalto", "even", "float", "ge", "gt", "in", "integer",
    "iterable", "le", "lower", "lt", "mapping", "ne", "none", "number", "odd", "sequence", "string",
    "undefined", "upper",
})  # fmt: skip
METHODS = frozenset({
    "capitalize", "count", "endswith", "get", "index", "isalpha", "isdigit", "isnumeric", "items", "keys",
    "lower", "lstrip", "rstrip", "split", "splitlines", "startswith", "strip", "title", "upper", "values",
})  # fmt: skip
MOST_ASSIGNMENTS = 50
TOO_DEEP, TOO_LARGE = "the template is nested too deeply", "a number in the template is too large"
SYNONYMS = {
    "prompt": ("input",), "question": ("input",), "query": ("input",), "answer": ("response", "response_a"),
    "output": ("response", "response_a"), "completion": ("response", "response_a"),
    "response": ("response_a",), "expected": ("reference",), "target": ("reference",),
    "ground_truth": ("reference",), "context": ("metadata",),
}  # fmt: skip
DEFAULT = re.compile(r"\s*\{\{\s*input\s*\}\}\s*")


class TemplateProblem(ValueError):
    """A template can't be used or rendered; the message is for its author."""


class _Budget:
    """What one rendering may still use."""

    __slots__ = ("deadline", "made", "steps")

    def __init__(self) -> None:
        self.made, self.steps, self.deadline = MAX_MADE, MAX_STEPS, monotonic() + MAX_SECONDS

    def make(self, size: int) -> None:
        self.made -= size
        if self.made < 0:
            raise TemplateProblem("the template makes too much text on the way")
        self.check_time()

    def step(self) -> None:
        self.steps -= 1
        if self.steps < 0:
            raise TemplateProblem(f"the template's loops take more than {MAX_STEPS:,} steps")
        if not self.steps % 64:
            self.check_time()

    def check_time(self) -> None:
        if monotonic() > self.deadline:
            raise TemplateProblem(f"the template took longer than {MAX_SECONDS:g} s")


_budget: ContextVar[_Budget] = ContextVar("template_budget")
_nonce: ContextVar[str] = ContextVar("template_nonce", default="")


def _size(value: Any, most: int = MAX_MADE + 1) -> int:
    """Characters and entries that `value` would take when written out, counted no further than `most`."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        value = [*value.keys(), *value.values()]
    total = 1
    for entry in value if isinstance(value, list | tuple) else ():
        total += 1 + _size(entry, most - total)
        if total >= most:
            break
    return total


def _shown(value: Any) -> Any:
    """Anything but text is paid for before it is written out."""
    if not isinstance(value, str):
        _budget.get().make(_size(value))
    return value


def _counted(values: Any) -> Iterator[Any]:
    budget = _budget.get()
    for value in values:
        budget.step()
        yield value


def _concatenated(parts: list[Any]) -> str:
    _budget.get().make(_size(parts))
    return "".join(str(part) for part in parts)


def _weighed(value: Any) -> Any:
    """Lists within lists double with each level: what is compared or hashed is paid for before."""
    _budget.get().make(_size(value))
    return value


def _sliced(value: Any, start: int | None, stop: int | None, step: int | None) -> Any:
    _budget.get().make(_size(value))
    return value[start:stop:step]


def _joined(values: Any, separator: str = "", attribute: None = None) -> str:
    parts, separator = list(values), str(separator)
    _budget.get().make(_size(parts) + len(separator) * len(parts))
    return separator.join(str(part) for part in parts)


def _replaced(value: Any, old: str, new: str, count: int = -1) -> str:
    text = str(value)
    _budget.get().make(len(text) + (text.count(old) if old else len(text) + 1) * len(new))
    return text.replace(old, new, count)


def _summed(values: Any) -> int | float:
    numbers: list[int | float] = list(values)
    if not all(isinstance(number, int | float) for number in numbers):
        raise TemplateProblem("“sum” works on numbers only")
    return sum(numbers)


def _rounded(value: float, digits: int = 0) -> float:
    return round(value, max(-15, min(15, digits)))


def _fenced(value: Any, name: str) -> str:
    """The text between tags that only we can write, since the nonce is not told to whoever wrote the text."""
    nonce = _nonce.get()
    text = str(_weighed(value)).replace(nonce, "")
    gap = "\n" if "\n" in text or len(text) > INLINE else ""
    return f"<{name}-{nonce}>{gap}{text}{gap}</{name}-{nonce}>"


def _ranged(*bounds: int) -> range:
    found = range(*bounds)
    if len(found) > MAX_RANGE:
        raise TemplateProblem(f"range() gives at most {MAX_RANGE:,} numbers")
    return found


class _Sandbox(ImmutableSandboxedEnvironment):
    """Meters what the sandbox alone lets grow without bound."""

    intercepted_binops = frozenset({"+", "*", "%", "-", "/", "//"})

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        numbers = isinstance(left, int | float) and isinstance(right, int | float)
        if not numbers and operator != "+":
            raise TemplateProblem(f"“{operator}” works on numbers only")
        if not numbers:
            _budget.get().make(_size(left) + _size(right))
        try:
            result = super().call_binop(context, operator, left, right)
        except ArithmeticError as error:
            raise TemplateProblem(str(error)) from error
        if numbers and abs(result) > MAX_NUMBER:
            raise TemplateProblem("a number in the template grows too large")
        return result

    def is_safe_callable(self, obj: Any) -> bool:
        owner = getattr(obj, "__self__", None)
        return obj is _ranged or (
            isinstance(owner, str | dict | list | tuple) and getattr(obj, "__name__", "") in METHODS
        )

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        if not self.is_safe_callable(obj):
            raise SecurityError(f"{getattr(obj, '__name__', 'this')}() is not available in templates")
        _budget.get().make(_size([getattr(obj, "__self__", ""), *args]))
        return obj(*args, **kwargs)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        return super().is_safe_attribute(obj, attr, value) and (not callable(value) or attr in METHODS)


def _environment() -> _Sandbox:
    environment = _Sandbox(
        undefined=StrictUndefined, autoescape=False, trim_blocks=True, lstrip_blocks=True, optimized=False,
        cache_size=0, finalize=_shown,
    )  # fmt: skip
    environment.globals = {"range": _ranged}
    environment.filters = {name: _metered(environment.filters[name]) for name in FILTERS}
    environment.filters |= {
        "join": _joined, "replace": _replaced, "sum": _summed, "round": _rounded,
        "_fenced": _fenced, "_counted": _counted, "_concatenated": _concatenated, "_sliced": _sliced,
        "_weighed": _weighed,
    }  # fmt: skip
    environment.tests = {name: environment.tests[name] for name in TESTS}
    return environment


def _metered(function: Any) -> Any:
    """A filter that pays for the size of what it is given; none that is listed makes more than that."""
    passed = getattr(function, "jinja_pass_arg", None)

    def metered(*args: Any, **kwargs: Any) -> Any:
        _budget.get().make(_size(args[1 if passed else 0]))
        return function(*args, **kwargs)

    if passed:
        metered.jinja_pass_arg = passed  # type: ignore[attr-defined]
    return metered


_ENVIRONMENT = _environment()


def check_template(source: str, names: Collection[str] = PROMPT_NAMES) -> list[str]:
    """Everything that is wrong with a template, in words that name the line; empty if it can be used."""
    if len(source) > MAX_SOURCE:
        return [f"the template is longer than {MAX_SOURCE:,} characters"]
    if not source.strip():
        return ["the template is empty"]
    try:
        tree = _ENVIRONMENT.parse(source)
        problems = _unavailable(tree) or _undefined(tree, names)
        if not problems:
            _compile(tree)
    except TemplateSyntaxError as error:
        return [f"line {error.lineno}: {error.message}"]
    except (RecursionError, SyntaxError, MemoryError):
        return [TOO_DEEP]
    except ValueError:
        return [TOO_LARGE]
    return problems


def names_used(source: str) -> frozenset[str]:
    """The names that a template asks for; none if it cannot be read."""
    return frozenset() if check_template(source) else _names_used(source)


def columns_used(source: str) -> set[str] | None:
    """The metadata columns that a template names; None if it uses them all or cannot be read."""
    try:
        return entries_used(_ENVIRONMENT.parse(source), "metadata")
    except (TemplateSyntaxError, RecursionError):
        return None


def _undefined(tree: nodes.Template, names: Collection[str]) -> list[str]:
    unknown = sorted(find_undeclared_variables(tree) - set(names) - {"range"})
    return [f"“{name}” is not defined; {_meant(name, names)}" for name in unknown]


def _meant(name: str, names: Collection[str]) -> str:
    known = next((word for word in SYNONYMS.get(name, ()) if word in names), "")
    near = [known] if known else get_close_matches(name, names, n=1, cutoff=0.6)
    return f"did you mean “{near[0]}”?" if near else f"a template may use {', '.join(sorted(names))}"


def _unavailable(tree: nodes.Template) -> list[str]:
    found = [_why_not(node) for node in tree.find_all(nodes.Node)]
    assignments = sum(1 for _ in tree.find_all(nodes.Assign))
    problems = [why for why in found if why]
    if assignments > MOST_ASSIGNMENTS:
        problems.append(f"a template may set at most {MOST_ASSIGNMENTS} names")
    return problems


def _why_not(node: nodes.Node) -> str:
    if not isinstance(node, NODES):
        return f"line {node.lineno}: “{type(node).__name__.lower()}” is not available in templates"
    if isinstance(node, nodes.For) and node.recursive:
        return f"line {node.lineno}: recursive loops are not available in templates"
    if isinstance(node, nodes.Getattr) and node.attr.startswith("_"):
        return f"line {node.lineno}: “{node.attr}” is not available in templates"
    if isinstance(node, nodes.Filter) and node.name not in FILTERS:
        return f"line {node.lineno}: no filter named “{node.name}” (there are {', '.join(sorted(FILTERS))})"
    if isinstance(node, nodes.Test) and node.name not in TESTS:
        return f"line {node.lineno}: no test named “{node.name}”"
    if isinstance(node, nodes.Const) and isinstance(node.value, int | float) and abs(node.value) > MAX_NUMBER:
        return f"line {node.lineno}: {TOO_LARGE}"
    if isinstance(node, nodes.Call):
        return _why_not_called(node)
    return ""


def _why_not_called(node: nodes.Call) -> str:
    if node.dyn_args or node.dyn_kwargs:
        return f"line {node.lineno}: “*” is not available in calls"
    name = getattr(node.node, "attr", None) or getattr(node.node, "name", "this")
    allowed = METHODS if isinstance(node.node, nodes.Getattr) else {"range"}
    return "" if name in allowed else f"line {node.lineno}: {name}() is not available in templates"


@lru_cache(maxsize=256)
def _compiled(source: str, names: frozenset[str], fenced: frozenset[str]) -> Template:
    problems = check_template(source, names)
    if problems:
        raise TemplateProblem("; ".join(problems))
    return _compile(_ENVIRONMENT.parse(source), fenced)


@lru_cache(maxsize=256)
def _names_used(source: str) -> frozenset[str]:
    """What a template that can be compiled asks for."""
    return frozenset(find_undeclared_variables(_ENVIRONMENT.parse(source)))


def _compile(tree: nodes.Template, fenced: Collection[str] = ()) -> Template:
    if fenced:
        tree = Fence.over(tree, fenced)
    code = _ENVIRONMENT.compile(Meter().visit(tree))
    return Template.from_code(_ENVIRONMENT, code, _ENVIRONMENT.globals)


def is_default(source: str) -> bool:
    """Whether the template shows the input as it is."""
    return DEFAULT.fullmatch(source) is not None


def render(
    source: str, context: Mapping[str, Any], fenced: frozenset[str] = frozenset(), nonce: str = ""
) -> str:
    """The template with plain data filled in. Raises TemplateProblem, never anything else.

    Text that comes from the names in `fenced` is put between tags that end in the nonce.
    """
    if is_default(source) and "input" in context and not fenced:
        return str(context["input"])
    if "{" not in source and source.strip() and len(source) <= MAX_SOURCE:
        return source
    try:
        template = _compiled(source, frozenset(context), fenced)
    except (RecursionError, SyntaxError, MemoryError) as error:  # less room here than where it was checked
        raise TemplateProblem(TOO_DEEP) from error
    token, marked = _budget.set(_Budget()), _nonce.set(nonce)
    try:
        used = _names_used(source)
        return _limited(template, {name: _plain(context[name]) for name in used if name in context})
    except TemplateProblem:
        raise
    except UndefinedError as error:
        raise TemplateProblem(f"the item lacks what the template asks for: {error.message}") from error
    except (
        TemplateError,
        ArithmeticError,
        LookupError,
        TypeError,
        ValueError,
        AttributeError,
        RecursionError,
    ) as error:
        raise TemplateProblem(f"the template could not be rendered: {error}") from error
    finally:
        _budget.reset(token)
        _nonce.reset(marked)


def _limited(template: Template, context: dict[str, Any]) -> str:
    pieces, length = [], 0
    budget = _budget.get()
    for piece in template.generate(context):
        pieces.append(piece)
        length += len(piece)
        budget.step()
        if length > MAX_OUTPUT:
            raise TemplateProblem(f"the rendered text is longer than {MAX_OUTPUT:,} characters")
    return "".join(pieces)


def _plain(value: Any, depth: int = 0) -> Any:
    """The value rebuilt from plain JSON types; anything else never reaches a template."""
    if value is None or type(value) in (str, int, float, bool):
        return value
    if depth > 50:
        raise TemplateProblem("the item's data is nested too deeply")
    if isinstance(value, dict | Mapping):
        return {str(key): _plain(entry, depth + 1) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry, depth + 1) for entry in value]
    raise TemplateProblem(f"a template can't be given a {type(value).__name__}")


Message = dict[str, Any]


def prompt_messages(
    source: str, context: Mapping[str, Any], messages: list[Message] | None = None
) -> list[Message]:
    """What is sent: a chat's own messages under the default template, else the rendered text."""
    if messages and is_default(source):
        return messages
    return [{"role": "user", "content": render(source, context)}]
