"""What becomes of a template's syntax tree before it is compiled, and what can be read from it."""

from collections.abc import Collection
from typing import cast

from jinja2 import nodes
from jinja2.visitor import NodeTransformer

MAPPING_METHODS = frozenset({"get", "items", "keys", "values"})
FENCE_WORDS = {"references": "reference", "messages": "message"}  # name → what its fence is called


class Fence(NodeTransformer):
    """Fences every output that holds some of these names' text, also by way of loops and assignments."""

    def __init__(self, names: Collection[str]) -> None:
        self.origins = {name: FENCE_WORDS.get(name, name) for name in names}

    @classmethod
    def over(cls, tree: nodes.Template, names: Collection[str]) -> nodes.Template:
        fence = cls(names)
        fence.learn(tree)
        fenced: nodes.Template = fence.visit(tree)
        return fenced

    def origin(self, node: nodes.Node) -> str:
        """The name whose text an expression may hold; lengths and answers to questions hold none."""
        if isinstance(node, nodes.Name):
            return self.origins.get(node.name, "")
        if isinstance(node, nodes.Test | nodes.Compare | nodes.Not):
            return ""
        if isinstance(node, nodes.Filter) and node.name in ("length", "count", "wordcount"):
            return ""
        children = node.iter_child_nodes(exclude=("test",) if isinstance(node, nodes.CondExpr) else ())
        return next((found for child in children if (found := self.origin(child))), "")

    def learn(self, tree: nodes.Template) -> None:
        """A name that is given some of the text carries it on, wherever it stands."""
        given = [(node.target, node.iter) for node in tree.find_all(nodes.For)]
        given += [(node.target, node.node) for node in tree.find_all(nodes.Assign)]
        known = -1
        while known != len(self.origins):
            known = len(self.origins)
            for target, value in given:
                if origin := self.origin(value):
                    for name in names_in(target):
                        self.origins.setdefault(name, origin)

    def visit_Output(self, node: nodes.Output) -> nodes.Node:
        for at, part in enumerate(node.nodes):
            if not isinstance(part, nodes.TemplateData) and (origin := self.origin(part)):
                node.nodes[at] = _filter(part, "_fenced", [nodes.Const(origin, lineno=part.lineno)])
        return node


class Meter(NodeTransformer):
    """Puts meters where Jinja compiles to plain Python: loops, “~”, slices, lists and comparisons."""

    def visit_List(self, node: nodes.List | nodes.Tuple | nodes.Dict) -> nodes.Node:
        self.generic_visit(node)
        is_target = isinstance(node, nodes.Tuple) and node.ctx != "load"
        return node if is_target else _filter(node, "_weighed")

    visit_Tuple = visit_Dict = visit_List

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:
        self.generic_visit(node)
        node.expr = _filter(node.expr, "_weighed")
        for operand in node.ops:
            operand.expr = _filter(operand.expr, "_weighed")
        return node

    def visit_Test(self, node: nodes.Test) -> nodes.Node:
        self.generic_visit(node)
        node.args = [_filter(value, "_weighed") for value in node.args]
        return node

    def visit_For(self, node: nodes.For) -> nodes.Node:
        self.generic_visit(node)
        node.iter = _filter(node.iter, "_counted")
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        return _filter(nodes.List(node.nodes, lineno=node.lineno), "_concatenated")

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:
        self.generic_visit(node)
        if not isinstance(node.arg, nodes.Slice):
            node.arg = _filter(node.arg, "_weighed")
            return node
        nothing = nodes.Const(None, lineno=node.lineno)
        bounds: list[nodes.Expr] = [
            bound or nothing for bound in (node.arg.start, node.arg.stop, node.arg.step)
        ]
        return _filter(node.node, "_sliced", bounds)


def _filter(value: nodes.Node, name: str, args: list[nodes.Expr] | None = None) -> nodes.Filter:
    return nodes.Filter(cast(nodes.Expr, value), name, args or [], [], None, None, lineno=value.lineno)


def names_in(node: nodes.Node) -> list[str]:
    """The names of an expression or of a target."""
    inner = [name.name for name in node.find_all(nodes.Name)]
    return [node.name, *inner] if isinstance(node, nodes.Name) else inner


def entries_used(tree: nodes.Template, name: str) -> set[str] | None:
    """Which entries of a mapping a template names, as in `name.entry`; None if it uses the mapping whole."""
    used, named = set(), 0
    for node in tree.find_all((nodes.Getattr, nodes.Getitem, nodes.Call)):
        entry = _entry(node, name)
        if entry is not None:
            used.add(entry)
            named += 1
    whole = sum(1 for found in tree.find_all(nodes.Name) if found.name == name)
    return used if whole == named else None


def _entry(node: nodes.Node, name: str) -> str | None:
    """Of `name.entry`, `name["entry"]` and `name.get("entry")`."""
    if isinstance(node, nodes.Call):
        inside, key = node.node, node.args[0] if node.args else None
        if isinstance(inside, nodes.Getattr) and inside.attr == "get" and _is(inside.node, name):
            return key.value if isinstance(key, nodes.Const) and isinstance(key.value, str) else None
        return None
    if isinstance(node, nodes.Getattr) and _is(node.node, name) and node.attr not in MAPPING_METHODS:
        return node.attr
    if isinstance(node, nodes.Getitem) and _is(node.node, name) and isinstance(node.arg, nodes.Const):
        return str(node.arg.value)
    return None


def _is(node: nodes.Node, name: str) -> bool:
    return isinstance(node, nodes.Name) and node.name == name
