"""Expressions of users: what they can do, and that they can't do more."""

import time
from typing import Any

import pytest

from judges.scorers import BadOptions, Subject, Verdict, build_scorer
from judges.scorers.python_expression import PROGRAM, VALUES, Child, json

ITEM = Subject("The answer is 18.", ["18"], ["16", "18"], "How many?", {"limit": 5, "tags": ["a", "b"]})


def scored(expression: str, subject: Subject = ITEM, **options: Any) -> Verdict:
    return build_scorer("python", {"expression": expression, **options}).score(subject)


@pytest.mark.parametrize(
    ("expression", "passed"),
    [
        ("references[0] in response", True),
        ("len(response.split()) <= metadata['limit']", True),
        ("len(response.split()) < metadata['limit'] - 2", False),
        ("response.endswith('.') and not response.isupper()", True),
        ("all(tag.islower() for tag in metadata['tags'])", True),
        ("any(c in response for c in choices)", True),
        ("max([len(c) for c in choices]) == 2", True),
        ("sorted({c: len(c) for c in choices}.items())[0][0] == '16'", True),
        ("findall('[0-9]+', response) == ['18']", True),
        ("parse_json('{\"a\": [1, 2]}')['a'][-1] == 2", True),
        ("1 < len(response) < 100", True),
        ("'yes' if prompt == 'How many?' else False", False),
        ("metadata.get('missing', True)", True),
        ("response[4:10] == 'answer'", True),
        ("sum(int(c) for c in choices) == 34", True),
        ("max(choices, key=len) == '16'", True),
        ("response.replace('18', '').count('1') == 0", True),
        ("False", False),
    ],
)
def test_small_checks(expression: str, passed: bool) -> None:
    verdict = scored(expression)
    if expression.startswith("'yes'"):
        assert verdict.unscored_reason == "the expression gave a str, not true, false or a number"
    else:
        assert verdict.passed is passed and f"is {str(passed).lower()}" in verdict.explanation


def test_a_number_is_a_value_with_a_threshold() -> None:
    verdict = scored("len(response) / 34", pass_at=0.4)
    assert verdict.value == pytest.approx(0.5) and verdict.passed
    assert scored("len(response) / 34", pass_at=0.6).passed is False


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("None", "gave no value"),
        ("response", "gave a str"),
        ("choices[9]", "failed: IndexError"),
        ("metadata['x']", "failed: KeyError"),
        ("1 / 0", "failed: ZeroDivisionError"),
        ("len(3)", "failed: TypeError"),
        ("float('nan')", "failed: ValueError"),
        ("parse_json('{')", "failed: JSONDecodeError"),
        ("int('9' * 400)", "too large"),
    ],
)
def test_what_gives_no_number_is_unscored(expression: str, reason: str) -> None:
    verdict = scored(expression)
    assert verdict.value is None and reason in verdict.unscored_reason


# What the walls are for: each is refused where the expression is written, before anything is evaluated.
REFUSED = [
    "__import__('os').system('id')",
    "import os",
    "open('/etc/passwd').read()",
    "eval('1')",
    "exec('1')",
    "compile('1', '', 'eval')",
    "globals()",
    "locals()",
    "vars()",
    "dir()",
    "getattr(response, 'upper')",
    "setattr(response, 'x', 1)",
    "input()",
    "print(response)",
    "breakpoint()",
    "help()",
    "type(response)",
    "type('X', (), {})",
    "object()",
    "super()",
    "memoryview(b'1')",
    "bytearray(10)",
    "().__class__",
    "().__class__.__bases__[0].__subclasses__()",
    "''.__class__.__mro__[1].__subclasses__()",
    "response.__init__.__globals__",
    "(lambda: 1)()",
    "[f for f in [lambda: 1]][0]()",
    "(x := 1)",
    "[x := 1 for y in choices]",
    "f'{response}'",
    "f'{response.__class__}'",
    "'{0.__class__}'.format(response)",
    "'{a.__class__}'.format_map(metadata)",
    "response.format(1)",
    "response.encode()",
    "response.translate({})",
    "response.zfill(1000000000)",
    "response.ljust(1000000000)",
    "response.center(1000000000)",
    "choices.append(1)",
    "metadata.update({})",
    "metadata.pop('limit')",
    "metadata.setdefault('x', 1)",
    "(c for c in choices).gi_frame",
    "(c for c in choices).gi_frame.f_builtins",
    "findall.__globals__",
    "parse_json.__globals__['codecs']",
    "len.__self__",
    "response.upper.__self__",
    "response.upper",
    "[c async for c in choices]",
    "await response",
    "(yield 1)",
    "9 ** 9",
    "9 ** 9 ** 9",
    "1 << 100000",
    "1j",
    "b'x'",
    "...",
    "max(*choices)",
    "dict(**metadata)",
    "findall('a', response, flags=2)",
    "parse_json(response, object_hook=len)",
    "sorted(choices, cmp=len)",
    "choices[0]()",
    "(len or max)(choices)",
    "_",
    "__builtins__",
    "__name__",
    "[_x for _x in choices]",
    "[len for len in choices]",
    "unknown",
    "os.system('id')",
    "sys.modules",
    "response; 1",
    "response\nimport os",
    "response = 1",
    "del response",
    "assert response",
    "1 if",
    "",
    "(" * 300 + ")" * 300,
    "[" * 60 + "]" * 60,
    "-" * 900 + "1",
    "not " * 200 + "1",
    "1" + "+1" * 450,
    "response" + "[0]" * 100,
    "'" + "x" * 1_001 + "'",
    "ｅｖａｌ('1')",
    "response.＿＿class＿＿",
    "\x00",
]


@pytest.mark.parametrize("expression", REFUSED)
def test_attacks_are_refused_as_they_are_written(expression: str) -> None:
    with pytest.raises(BadOptions) as caught:
        build_scorer("python", {"expression": expression})
    assert set(caught.value.problems) == {"expression"}


# What no list can see beforehand: each ends at a limit, quickly, and the next expression works again.
LIMITED = [
    ("sum(range(1000000000000))", "longer than"),
    ("sum(1 for a in range(99999) for b in range(99999))", "longer than"),
    ("findall('(a+)+$', 'a' * 5000 + '!')", "longer than"),
    ("len('a' * 1000000000)", "MB"),
    ("len(list(range(1000000000)))", "MB"),
    ("len([0] * 1000000000)", "MB"),
    ("len('%1000000000d' % 1)", "MB"),
    ("len('a'.join(['b' * 1000000] * 1000))", "MB"),
    ("len(('a' * 100000).replace('a', 'b' * 100000))", "MB"),
    ("len(str([[0] * 9999] * 9999))", "the expression"),
    ("parse_json('[' * 100000)", "RecursionError"),
    ("int('9' * 5000)", "ValueError"),
    ("len(response * len(response * 10000) * 1000)", "MB"),
]


@pytest.mark.parametrize(("expression", "reason"), LIMITED)
def test_bombs_end_at_a_limit(expression: str, reason: str) -> None:
    built = build_scorer("python", {"expression": expression})
    started = time.monotonic()
    verdict = built.score(ITEM)
    assert verdict.value is None and reason in verdict.unscored_reason, verdict
    assert time.monotonic() - started < 30
    assert scored("references[0] in response").passed


def test_an_expression_can_not_change_what_the_next_one_sees() -> None:
    assert scored("len([metadata for metadata2 in choices]) == 2").passed
    assert scored("metadata['limit'] == 5 and len(choices) == 2").passed


def test_the_child_knows_nothing_but_what_is_listed() -> None:
    """Even past the list of nodes: the evaluator itself has no builtins to reach for."""
    child = Child(PROGRAM)
    setting = json.dumps({"memory": 1 << 28, "functions": ["len"]}).encode()
    values = dict.fromkeys(VALUES, "")
    request = json.dumps(["__import__('os')", values, 0.5]).encode()
    assert b"NameError" in child.ask(setting + b"\n" + request)
    opened = json.dumps(["findall.__globals__['sys'].modules['os'].open('x', 65)", values, 0.5]).encode()
    assert b"error" in child.ask(opened)
    child._bury(child.process)  # type: ignore[arg-type]


def test_a_huge_item_is_unscored() -> None:
    assert "longer than" in scored("True", Subject("x" * 1_000_001)).unscored_reason
