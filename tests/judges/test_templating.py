"""Templates of users: what they can do, and that they can't do more."""

import time
import timeit
import tracemalloc

import pytest

from judges.templating import (
    DEFAULT_TEMPLATE,
    MAX_OUTPUT,
    PROMPT_NAMES,
    TemplateProblem,
    check_template,
    is_default,
    prompt_messages,
    render,
)

ITEM = {
    "input": "Which is red?",
    "choices": ["sky", "blood"],
    "section": "colours",
    "id": "q-1",
    "metadata": {"level": 2, "tags": ["a", "b"], "hint": None},
}


# Small to write, and compared element by element 4 to the 20th times.
TWO_TREES = (
    "{% set a = [0, 0] %}{% set b = [0, 0] %}" + "{% set a = [a, a, a, a] %}{% set b = [b, b, b, b] %}" * 20
)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ input }}", "Which is red?"),
        ("{{input}}\n", "Which is red?"),
        ("Q: {{ input }}\nA:", "Q: Which is red?\nA:"),
        ("{% for c in choices %}\n{{ loop.index }}. {{ c }}\n{% endfor %}", "1. sky\n2. blood\n"),
        ("{{ 'ABCD'[1] }}{{ choices[-1] }}", "Bblood"),
        ("{% if section == 'colours' %}c{% else %}o{% endif %}", "c"),
        ("{{ metadata.level + 1 }} {{ metadata['tags'] | join('-') }}", "3 a-b"),
        ("{{ metadata.missing | default('none') }}", "none"),
        ("{{ input.upper() | replace('RED', 'BLUE') }}", "WHICH IS BLUE?"),
        ("{% set n = choices | length %}{{ n ~ ' of ' ~ n }}", "2 of 2"),
        ("{{ input[:5] }}{{ input[::-1][:4] }}", "Which?der"),
        ("{% for k, v in metadata.items() %}{{ k }};{% endfor %}", "level;tags;hint;"),
        ("{% for i in range(3) %}{{ i }}{% endfor %}", "012"),
        ("{{ id }} {{ metadata | tojson }}", 'q-1 {"hint": null, "level": 2, "tags": ["a", "b"]}'),
        ("{{ '<b>' }}", "<b>"),
    ],
)
def test_renders(source: str, expected: str) -> None:
    assert check_template(source) == []
    assert render(source, ITEM) == expected


@pytest.mark.parametrize(
    ("source", "word"),
    [
        ("{{ references }}", "references"),
        ("{{ inptu }}", "inptu"),
        ("{% for c in choices %}", "line 1"),
        ("a\n{{ input", "line 2"),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "macro"),
        ("{% include 'x' %}", "include"),
        ("{% extends 'x' %}", "extends"),
        ("{% import 'x' as y %}", "import"),
        ("{% set x %}{{ input }}{% endset %}", "assignblock"),
        ("{% for x in choices recursive %}{{ loop(x) }}{% endfor %}", "recursive"),
        ("{{ input | center(1000000000) }}", "center"),
        ("{{ '%1000000000d' | format(1) }}", "format"),
        ("{{ input | attr('__class__') }}", "attr"),
        ("{{ input is filter }}", "filter"),
        ("{{ input.split(*choices) }}", "*"),
        ("{{ 2 ** 100 }}", "pow"),
        ("{{ lipsum() }}", "lipsum"),
        ("{{ cycler() }}", "cycler"),
        ("{{ namespace() }}", "namespace"),
        ("", "empty"),
        ("x" * 20_001, "longer"),
        ("{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", "nested"),
    ],
)
def test_check_names_what_is_wrong(source: str, word: str) -> None:
    problems = check_template(source)
    assert problems and word in " ".join(problems)
    with pytest.raises(TemplateProblem):
        render(source + " ", ITEM)


@pytest.mark.parametrize(
    "source",
    [
        "{{ 'a' * 1000000000 }}",
        "{{ [0] * 1000000000 }}",
        "{{ 'a %s' % input }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ range(1000000000) | list }}",
        "{{ input.ljust(1000000000) }}",
        "{{ input.format(input) }}",
        "{{ input.join(choices) }}",
        "{{ input.__class__.__mro__ }}",
        "{{ choices.append(1) }}",
        "{{ metadata.update({'a': 1}) }}",
        "{% for x in input %}{{ x.encode() }}{% endfor %}",
        "{{ metadata.items.__self__ }}",
        "{{ range.__class__ }}",
        "{{ metadata.missing }}",
        "{{ 1 / 0 }}",
        "{{ input + 1 }}",
        "{% for a in range(1000) %}" * 3 + "{% endfor %}" * 3,
        "{% for a in range(1000) %}{% for b in range(1000) %}{{ input }}{% endfor %}{% endfor %}",
        "{% set a = input ~ input %}" + "{% set a = a ~ a %}" * 40 + "{{ a | length }}",
        "{% set a = input + input %}" + "{% set a = a + a %}" * 40 + "{{ a | length }}",
        "{% set a = choices + choices %}" + "{% set a = a + a %}" * 40 + "{{ a | length }}",
        "{% set a = 9999 %}" + "{% set a = a * a %}" * 40 + "{{ a }}",
        "{% set a = input %}" + "{% set a = a | replace('', a) %}" * 12 + "{{ a | length }}",
        "{% set a = input %}" + "{% set a = a | join(a) %}" * 12 + "{{ a | length }}",
        "{% set a = input %}" + "{% set a = a.replace('h', a) %}" * 12 + "{{ a | length }}",
        "{% set a = [input, input] %}" + "{% set a = [a, a] %}" * 40 + "{{ a }}",
        "{% set a = [input, input] %}" + "{% set a = [a, a] %}" * 40 + "{{ a | string | length }}",
        "{% set a = [input, input] %}" + "{% set a = [a, a] %}" * 40 + "{{ a | tojson | length }}",
        f"{TWO_TREES}{{{{ a == b }}}}",
        f"{TWO_TREES}{{{{ a is eq(b) }}}}",
        f"{TWO_TREES}{{{{ a in [b] }}}}",
        f"{TWO_TREES}{{{{ [a].count(b) }}}}",
        "{% set a = (0, 0, 0, 0) %}" + "{% set a = (a, a, a, a) %}" * 20 + "{{ metadata.get(a) }}",
        "{% set a = (0, 0, 0, 0) %}" + "{% set a = (a, a, a, a) %}" * 20 + "{{ metadata[a] }}",
        "{{ [choices, choices] | sum(start=[]) }}",
        "{{ 1.5 | round(1000000000, 'ceil') }}",
        "{% for a in range(900) %}" * 2
        + "{% set x = metadata | tojson | list | sort %}"
        + "{% endfor %}" * 2,
    ],
)
def test_bombs_and_escapes_end_quickly_and_small(source: str) -> None:
    started = time.monotonic()
    tracemalloc.start()
    try:
        with pytest.raises(TemplateProblem):
            render(source, ITEM)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert time.monotonic() - started < 30
    assert peak < 60_000_000


@pytest.mark.parametrize(
    "source",
    [
        "{{ " + "9" * 5000 + " }}",
        "{{ 1e400 }}",
        "{{ " + "+".join(["1"] * 5000) + " }}",
        "{{ input" + "[0]" * 4000 + " }}",
        "{{ input" + "|list" * 3000 + " }}",
        "{% for a in [1] %}" * 30 + "x" + "{% endfor %}" * 30,
    ],
)
def test_what_cannot_be_compiled_is_refused_in_words(source: str) -> None:
    assert any("too deeply" in problem or "too large" in problem for problem in check_template(source))
    with pytest.raises(TemplateProblem):
        render(source, ITEM)


def test_output_is_limited() -> None:
    long = {**ITEM, "input": "x" * 100_000}
    assert len(render("{% for i in range(9) %}{{ input }}{% endfor %}", long)) < MAX_OUTPUT
    with pytest.raises(TemplateProblem, match="longer than"):
        render("{% for i in range(11) %}{{ input }}{% endfor %}", long)


def test_objects_never_reach_a_template() -> None:
    with pytest.raises(TemplateProblem, match="can't be given"):
        render("{{ input }}{{ metadata }}", {**ITEM, "metadata": object()})


def test_a_template_can_not_change_the_item() -> None:
    item = {**ITEM, "choices": ["b", "a"]}
    assert render("{{ choices | sort | join }}{{ choices | join }}", item) == "abba"
    assert item["choices"] == ["b", "a"]


def took(source: str) -> float:
    """Seconds of processor time for a thousand items, the best of five times."""
    return min(timeit.repeat(lambda: render(source, ITEM), time.process_time, repeat=5, number=1000))


def test_default_template_is_free() -> None:
    assert is_default(DEFAULT_TEMPLATE) and not is_default("{{ input }}!")
    free, rendered = (took(source) for source in (DEFAULT_TEMPLATE, "{{ input }}!"))
    assert free < rendered / 2


def test_chat_item_sends_its_messages_under_the_default_template() -> None:
    chat = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Which is red?"}]
    assert prompt_messages(DEFAULT_TEMPLATE, ITEM, chat) == chat
    assert prompt_messages("Say: {{ input }}", ITEM, chat) == [
        {"role": "user", "content": "Say: Which is red?"}
    ]
    assert prompt_messages(DEFAULT_TEMPLATE, ITEM) == [{"role": "user", "content": "Which is red?"}]


def test_references_are_not_a_name_of_prompts() -> None:
    assert not {"reference", "references", "responses"} & PROMPT_NAMES
