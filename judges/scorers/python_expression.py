"""Python expression: a small check of one's own, evaluated in a child process under limits.

Three walls. The expression is parsed and every node, name and method must be on a list: no imports,
no attributes but the listed methods of text, lists and objects, no names that begin with “_”, no
lambdas, no formatting. It is evaluated with these names alone in an isolated interpreter without
packages. That process has limits of processor time, memory, files and processes, and is replaced
when it meets one.
"""

import ast
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from judges.scorers.base import (
    EMPTY,
    Scorer,
    Subject,
    TextOptions,
    Verdict,
    graded,
    option,
    unscored,
    verdict,
)
from judges.scorers.child import Child

CPU_LIMIT_S = 0.5
MEMORY_LIMIT_MB = 256
MAX_SOURCE = 1_000
MAX_REQUEST = 1_000_000  # characters of response, references, choices, prompt and metadata together
MAX_DEPTH = 40
VALUES = ("response", "references", "choices", "prompt", "metadata")
FUNCTIONS = (
    "abs", "all", "any", "bool", "dict", "enumerate", "findall", "float", "int", "len", "list", "max", "min",
    "parse_json", "range", "reversed", "round", "set", "sorted", "str", "sum", "tuple", "zip",
)  # fmt: skip
METHODS = (
    "casefold", "count", "endswith", "find", "get", "index", "isalnum", "isalpha", "isdecimal", "isdigit",
    "islower", "isnumeric", "isspace", "istitle", "isupper", "items", "join", "keys", "lower", "lstrip",
    "partition", "removeprefix", "removesuffix", "replace", "rfind", "rpartition", "rsplit", "rstrip",
    "split", "splitlines", "startswith", "strip", "title", "upper", "values",
)  # fmt: skip
NODES = (
    ast.Expression, ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.USub, ast.UAdd, ast.BinOp, ast.Add,
    ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Compare, ast.Eq, ast.NotEq, ast.Lt, ast.LtE,
    ast.Gt, ast.GtE, ast.In, ast.NotIn, ast.Is, ast.IsNot, ast.IfExp, ast.Call, ast.keyword, ast.Constant,
    ast.Name, ast.Load, ast.Store, ast.Attribute, ast.Subscript, ast.Slice, ast.List, ast.Tuple, ast.Set,
    ast.Dict, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.comprehension,
)  # fmt: skip
PROGRAM = """
import builtins, json, re, resource, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
names = json.loads(sys.stdin.buffer.readline())
memory = names.pop("memory")
resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
for limit in (resource.RLIMIT_FSIZE, resource.RLIMIT_CORE, resource.RLIMIT_NPROC):
    resource.setrlimit(limit, (0, 0))
own = {"parse_json": json.loads, "findall": re.findall}
functions = {name: own.get(name) or getattr(builtins, name) for name in names["functions"]}
for line in sys.stdin.buffer:
    source, values, limit = json.loads(line)
    signal.setitimer(signal.ITIMER_PROF, limit)
    try:
        value = eval(source, {"__builtins__": {}, **functions, **values})
        kind = type(value).__name__
        said = ["ok", kind, value if value is None or type(value) in (bool, int, float) else None]
        text = json.dumps(said, allow_nan=False)
    except MemoryError:
        text = json.dumps(["memory", "", None])
    except BaseException as error:
        name = type(error).__name__
        try:
            name += ": " + str(error)[:150]
        except BaseException:
            pass
        text = json.dumps(["error", name, None])
    value = None
    signal.setitimer(signal.ITIMER_PROF, 0)
    sys.stdout.write(text + "\\n")
    sys.stdout.flush()
"""


class _Evaluator(Child):
    """Tells a new process its limits first."""

    def _running(self) -> Any:
        fresh = self.process is None
        process = super()._running()
        if fresh and process.stdin:
            setting = {"memory": MEMORY_LIMIT_MB << 20, "functions": FUNCTIONS}
            process.stdin.write(json.dumps(setting).encode() + b"\n")
        return process


_child = _Evaluator(PROGRAM)


@dataclass(frozen=True)
class PythonExpressionOptions(TextOptions):
    expression: str = option(
        help="One expression over response, references, choices, prompt and metadata: true, false or a "
        "number, such as len(response.split()) <= metadata['limit']; None leaves the trial unscored",
        long=True,
    )
    pass_at: float = option(1.0, help="A number passes from this value on")


class PythonExpression(Scorer[PythonExpressionOptions]):
    key = "python"
    title = "Python expression"
    description = (
        "A check of your own in one line: text, list and number functions, findall(pattern, text) and "
        f"parse_json(text); no imports; {CPU_LIMIT_S:g} s and {MEMORY_LIMIT_MB} MB at most."
    )
    Options = PythonExpressionOptions
    needs_reference = False
    blocks = True

    @classmethod
    def check(cls, options: PythonExpressionOptions) -> Mapping[str, str]:
        problem = expression_problem(options.expression)
        return {"expression": problem} if problem else {}

    def score(self, subject: Subject) -> Verdict:
        if not subject.response.strip():
            return verdict(False, answer="", explanation=EMPTY)
        values = {
            "response": subject.response,
            "references": list(subject.references),
            "choices": list(subject.choices),
            "prompt": subject.prompt,
            "metadata": dict(subject.metadata),
        }
        request = json.dumps([self.options.expression.strip(), values, CPU_LIMIT_S], default=str)
        if len(request) > MAX_REQUEST:
            return unscored(f"the item and its response are longer than {MAX_REQUEST:,} characters")
        line = _child.ask(request.encode())
        if not line:
            return unscored(f"the expression took longer than {CPU_LIMIT_S} s on this response")
        return self.told(*json.loads(line), response=subject.response.strip())

    def told(self, said: str, detail: str, value: Any, *, response: str) -> Verdict:
        if said == "memory":
            return unscored(f"the expression needed more than {MEMORY_LIMIT_MB} MB on this response")
        if said != "ok":
            return unscored(f"the expression failed: {detail}")
        if detail == "bool":
            return verdict(value, answer=response, explanation=f"the expression is {str(value).lower()}")
        if value is None:
            gave = "no value" if detail == "NoneType" else f"a {detail}, not true, false or a number"
            return unscored(f"the expression gave {gave}")
        try:
            number = float(value)
        except OverflowError:
            return unscored("the expression gave a number that is too large")
        return graded(
            number,
            pass_at=self.options.pass_at,
            answer=response,
            explanation=f"the expression is {number:g}",
        )


def expression_problem(source: str) -> str:
    """Why the expression can't be used, or nothing."""
    source = source.strip()
    if not source:
        return "is required"
    if len(source) > MAX_SOURCE:
        return f"is longer than {MAX_SOURCE:,} characters"
    if "\n" in source or "\r" in source:
        return "must be on one line"
    try:
        tree = ast.parse(source, mode="eval")
        problem = _problem(tree, _bound(tree), 0)
        if not problem:
            compile(tree, "<expression>", "eval")
    except SyntaxError as error:
        return f"is not an expression: {error.msg}"
    except (ValueError, RecursionError, MemoryError) as error:
        return f"is not an expression: {error or 'it is nested too deeply'}"
    return problem


def _bound(tree: ast.AST) -> set[str]:
    """Names that comprehensions give."""
    return {
        node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }


def _problem(node: ast.AST, bound: set[str], depth: int) -> str:
    if depth > MAX_DEPTH:
        return "is nested too deeply"
    own = _own_problem(node, bound)
    if own:
        return own
    for child in ast.iter_child_nodes(node):
        is_method = isinstance(node, ast.Call) and child is node.func and isinstance(child, ast.Attribute)
        if isinstance(child, ast.Attribute) and not is_method:
            return f"“.{child.attr}” is not available but as a method that is called"
        if problem := _problem(child, bound, depth + 1):
            return problem
    return ""


def _own_problem(node: ast.AST, bound: set[str]) -> str:
    if not isinstance(node, NODES):
        return f"“{type(node).__name__}” is not available in expressions"
    if isinstance(node, ast.Attribute) and node.attr not in METHODS:
        return f"“.{node.attr}()” is not available; there are {', '.join(METHODS)}"
    if isinstance(node, ast.Name) and (problem := _name_problem(node, bound)):
        return problem
    if isinstance(node, ast.Constant) and not isinstance(node.value, str | int | float | bool | None):
        return f"{node.value!r} is not available: text, numbers, true, false and None are"
    if isinstance(node, ast.comprehension) and node.is_async:
        return "“async” is not available in expressions"
    if isinstance(node, ast.keyword) and node.arg not in (
        "key",
        "reverse",
        "default",
        "start",
        "strict",
        "sep",
    ):
        return f"the argument “{node.arg or '**'}” is not available"
    if isinstance(node, ast.Call) and not isinstance(node.func, ast.Name | ast.Attribute):
        return "only named functions and methods can be called"
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id not in FUNCTIONS:
        return f"“{node.func.id}()” is not available; there are {', '.join(FUNCTIONS)}"
    return ""


def _name_problem(node: ast.Name, bound: set[str]) -> str:
    if node.id.startswith("_"):
        return f"“{node.id}” is not available: names do not begin with “_”"
    known = {*VALUES, *FUNCTIONS}
    if isinstance(node.ctx, ast.Store):
        return f"“{node.id}” has its meaning already; use another name" if node.id in known else ""
    if node.id not in known | bound:
        return f"“{node.id}” is not available; there are {', '.join((*VALUES, *FUNCTIONS))}"
    return ""
