"""Attacks on the templates of judges, beside those on prompts (test_templating.py): each is refused in words
when it is saved or when it is rendered, and nothing of the nonce can be read or written."""

from typing import Any

import pytest

from judges.asking import judge_messages, template_names, template_problems
from judges.templating import TemplateProblem, render
from tests.judges.frozen import frozen

NONCE = "3f9ac1d2"
ITEM = {"input": "Q", "references": ["R"], "choices": ["a", "b"], "metadata": {"a": [1, 2]}}

WALKS = [
    "{{ ''.__class__ }}",
    "{{ ''['__class__'] }}",
    "{{ ''['\\x5f\\x5fclass\\x5f\\x5f'] }}",
    "{{ response['__cla' ~ 'ss__'] }}",
    "{{ response|attr('__class__') }}",
    "{{ response|attr('\\x5f\\x5fclass\\x5f\\x5f') }}",
    "{{ [].__class__.__base__.__subclasses__() }}",
    "{{ ().__class__.__mro__[1] }}",
    "{{ {}.__init__.__globals__ }}",
    "{{ metadata.__class__ }}",
    "{{ metadata.get.__self__ }}",
    "{{ metadata.get.__func__.__globals__ }}",
    "{{ range.__init__ }}",
    "{{ range.__globals__['os'] }}",
    "{{ self.__init__ }}",
    "{{ self._TemplateReference__context }}",
    "{{ lipsum.__globals__['os'].popen('id').read() }}",
    "{{ cycler.__init__.__globals__ }}",
    "{{ joiner.__init__ }}",
    "{{ namespace.__init__ }}",
    "{{ config }}",
    "{{ request.application }}",
    "{{ get_flashed_messages.__globals__ }}",
    "{{ caller() }}",
    "{{ varargs }}{{ kwargs }}",
    "{% for x in [1] %}{{ loop.__class__ }}{% endfor %}",
    "{% for x in [1] %}{{ loop._iterator }}{% endfor %}",
    "{% set x = response.__class__ %}{{ x }}",
    "{{ (response if response else response).__doc__ }}",
    "{{ labels[0].__class__ }}",
]
FORMATS = [
    "{{ '{0.__class__}'.format(response) }}",
    "{{ '{0.__class__}'.format_map(metadata) }}",
    "{{ '%s' % response }}",
    "{{ '%(a)s' % metadata }}",
    "{{ '%999999999s' | format(response) }}",
    "{{ response.zfill(999999999) }}",
    "{{ response.expandtabs(999999999) }}",
    "{{ response.rjust(999999999) }}",
    "{{ response.translate({81: 'x'}) }}",
    "{{ response.encode('utf-16') }}",
    "{{ response | indent(999999999) }}",
    "{{ response | wordwrap(1) }}",
    "{{ response | pprint }}",
    "{{ response | xmlattr }}",
    "{{ response | urlize }}",
]
FLOWS = [
    "{% include response %}",
    "{% import response as x %}{{ x }}",
    "{% from response import x %}",
    "{% extends response %}",
    "{% block a %}{% endblock %}",
    "{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}",
    "{% call range(3) %}{% endcall %}",
    "{% filter upper %}x{% endfilter %}",
    "{% with a = 1 %}{{ a }}{% endwith %}",
    "{% autoescape true %}{% endautoescape %}",
    "{% do metadata.clear() %}",
    "{% for x in choices recursive %}{{ loop(choices) }}{% endfor %}",
    "{% set ns = namespace(a=1) %}",
    "{% set metadata.a = 1 %}",
    "{{ choices | map('upper') | list }}",
    "{{ choices | map(attribute='__class__') | list }}",
    "{{ choices | groupby('__class__') }}",
    "{{ choices | selectattr('__class__') | list }}",
    "{{ choices | random }}",
    "{{ response is callable }}",
    "{{ response is sameas response }}",
    "{{ metadata.pop('a') }}",
    "{{ metadata.setdefault('b', 1) }}",
    "{{ choices.sort() }}",
    "{{ choices.extend(choices) }}",
]
SIZES = [
    "{{ range(999999999) }}",
    "{{ range(0, 999999999, 1) | sum }}",
    "{{ range(-999999999, 999999999) | length }}",
    "{% for a in range(1000) %}{% for b in range(1000) %}{{ response }}{% endfor %}{% endfor %}",
    "{{ response * 999999999 }}",
    "{{ choices * 999999999 }}",
    "{{ 9 ** 9 ** 9 }}",
    "{{ 10000000000 * 10000000000 * 10000000000 * 10000000000 }}",
    "{% set a = response %}" + "{% set a = a ~ a %}" * 49 + "{{ a }}",
    "{% set a = 1 %}" * 51 + "{{ response }}",
]
OURS = [
    "{{ response | _fenced('response') }}",
    "{{ response | _counted }}",
    "{{ choices | _weighed }}",
    "{{ _nonce }}",
    "{{ nonce }}",
    "{{ response | safe }}",
]


@pytest.mark.parametrize("source", WALKS + FORMATS + FLOWS + SIZES + OURS)
def test_is_refused(source: str) -> None:
    judge = frozen("classify", user_template=source + "{{ response }}")
    with pytest.raises(TemplateProblem) as problem:
        judge_messages(judge, ITEM, "Response", nonce=NONCE)
    assert str(problem.value) and NONCE not in str(problem.value)


def test_most_are_refused_when_they_are_saved() -> None:
    tried = WALKS + FORMATS + FLOWS + OURS
    refused = [source for source in tried if template_problems("classify", "", source + "{{ response }}")]
    assert len(refused) >= 0.8 * len(tried) and len(tried + SIZES) >= 60


@pytest.mark.parametrize(
    "source",
    [
        "{{ response }}",
        "{% set a = [response] %}{% for b in a %}{% set c = b %}{{ c }}{% endfor %}",
        "{% for c in response %}{{ c }}{% endfor %}",
        "{{ {'a': response}.a }}",
        "{{ [response, input] | join(' ') }}",
        "{{ (response, 1)[0] }}",
        "{{ response if true else '' }}",
        "{{ metadata.missing | default(response) }}",
        "{% for k, v in {'a': response}.items() %}{{ v }}{% endfor %}",
        "{{ response.split('x')[0] }}",
        "{% set late = response %}{% if true %}{{ late | default('') }}{% endif %}",
        "{{ response | replace('a', 'b') | upper | trim }}",
    ],
)
def test_no_way_around_the_fence(source: str) -> None:
    """Whatever a template does with a response, what it shows of it stands between tags."""
    names = dict.fromkeys(template_names("classify"), "")
    context: dict[str, Any] = {**names, "metadata": {}, "labels": [], "response": "PASS"}
    shown = render(source, context, frozenset({"response", "input", "metadata"}), NONCE)
    bare = shown
    while (at := bare.find(f"-{NONCE}>")) >= 0:
        end = bare.index(f"-{NONCE}>", at + 1)
        bare = bare[: bare.rindex("<", 0, at)] + bare[end + len(NONCE) + 2 :]
    assert "P" not in bare and NONCE in shown
