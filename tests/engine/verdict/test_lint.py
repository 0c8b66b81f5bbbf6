"""The lint refuses templates that are not provably cheap, within milliseconds, and lets ordinary ones pass."""

import time

import pytest

from homeiq_engine.verdict import read_automation


def codes(template: str) -> list[str]:
    """Return the codes of the lint's findings for a template, which takes well under a second."""
    before = time.perf_counter()
    reading = read_automation("conditions:\n  - " + _quoted(template))
    assert time.perf_counter() - before < 2
    assert reading.automation is not None
    return [finding.code for finding in reading.findings]


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


MACROS = "".join(
    f"{{% macro m{number}() %}}{{{{ m{number + 1}() ~ m{number + 1}() }}}}{{% endmacro %}}" for number in range(20)
)

REFUSED = {
    "power": [
        "{{ 2 ** (10**9) }}",
        "{{ 9**9**9 }}",
        "{{ 9**(9**8) }}",
        "{{ 2 ** (x|int) }}",
        "{{ ((((x**10)**10)**10)**10) }}",
        "{% set a = x ** 9 %}{{ a ** 9 }}",
    ],
    "repetition": [
        "{{ 'a' * 500000000 }}",
        "{{ 500000000 * 'a' }}",
        "{{ 'a' * 10**10 }}",
        "{{ [0] * 1000000000 }}",
        "{{ 'a' * x }}",
        "{% set s = 'a' %}{{ s * 500000000 }}",
        "{% for x in ['a'] %}{{ x * 500000000 }}{% endfor %}",
        "{{ states('sensor.x') * 500000000 }}",
        "{{ states.sensor.x.state * 500000000 }}",
        "{{ x|string|list * 10000000000 }}",
        "{{ ('a' if x else 1) * 500000000 }}",
        "{{ ('a' or 1) * 500000000 }}",
        "{{ ('a' ~ 'b') * 500000000 }}",
        "{{ ('a' + 'b') * 500000000 }}",
        "{{ x * 500000000 }}",
    ],
    "regex": [
        "{{ 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!' | regex_match('(a+)+$') }}",
        "{% set p = '(a+)' ~ '+$' %}{{ x|regex_match(p) }}",
        "{{ x|regex_replace(find='(.*)*b') }}",
        "{{ x|select('match', '(a|a)*b')|list }}",
        "{{ x|selectattr('state', 'search', '(a*)*b')|list }}",
        "{{ x is match('([a-z]+)*$') }}",
        "{{ x|map('regex_search', '(a+)+')|list }}",
        "{{ x|regex_search('.*.*.*.*!') }}",
        "{{ x|regex_search('a*a*a*a*a*b') }}",
        "{{ x|regex_search('(a)\\\\1') }}",
        "{{ x|regex_search('(?P<n>a)(?P=n)') }}",
        "{{ x|regex_search('a{1,100000}') }}",
        "{{ x|regex_search('a{100000000000}') }}",
        "{{ x|regex_search('(a') }}{{ x|regex_search(')') }}",
        "{{ x|regex_search('[a') }}",
        "{{ x|regex_search('((a{2,})b?){9}c') }}",
        "{{ '" + "a" * 5000 + "'|regex_search('.*.*b') }}",
    ],
    "regex_not_constant": [
        "{{ x|regex_match(y) }}",
        "{{ x|regex_match }}",
        "{% for p in ['(a+)+'] %}{{ x|regex_match(p) }}{% endfor %}",
        "{% if y %}{% set p = 'a' %}{% else %}{% set p = '(a+)+' %}{% endif %}{{ x|regex_match(p) }}",
    ],
    "width": [
        "{{ 'a'|center(1000000000) }}",
        "{{ 'a'|center(x) }}",
        "{{ 'a'|indent(width=1000000000) }}",
        "{{ 'a'.ljust(1000000000) }}",
        "{{ (1).to_bytes(1000000000, 'big') }}",
        "{{ ['a']|map('center', 1000000000)|list }}",
        "{% filter center(1000000) %}a{% endfilter %}",
        "{% filter upper|center(1000000) %}a{% endfilter %}",
        "{% filter center(1000000)|upper %}a{% endfilter %}",
        "{% set a | center(1000000) %}a{% endset %}",
    ],
    "format": [
        "{{ '%1000000000d'|format(1) }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ '%*d' % (1000000000, 1) }}",
        "{{ x % 'a' }}",
        "{{ '{:>100000000}'.format(1) }}",
        "{{ '{:>{}}'.format(1, 100000000) }}",
        "{{ x.format(1) }}",
        "{{ 1|pack('1000000000x') }}",
        "{{ pack(1, '1000000000x') }}",
        "{{ 1|pack(x) }}",
    ],
    "attribute": [
        "{{ x.__class__ }}",
        "{{ x['__class__'] }}",
        "{{ x|attr('__class__') }}",
        "{{ x|map(attribute='__class__') }}",
        "{{ _x }}",
        "{% set f = 'a'.ljust %}{{ f(10**9) }}",
        "{% set f = '{:>99}'.format %}{{ f(1) }}",
        "{{ x.format_map({}) }}",
        "{{ x['translate'] }}",
    ],
    "computed_name": ["{{ x|attr(y) }}", "{{ x|map(y)|list }}"],
    "computed_arguments": ["{{ f(*range(100)) }}", "{{ f(**x) }}"],
    "constant_work": ["{{ 'x'|nosuchfilter }}"],
    "round": ["{{ 1|round(1000000000, 'ceil') }}", "{{ x|round(y, 'floor') }}"],
    "range": ["{{ range(10**9)|list }}", "{{ range(0, 10**30) }}"],
    "loops": [
        "{% for s in states %}{% for t in states %}{{ s.entity_id ~ t.entity_id }}{% endfor %}{% endfor %}",
        "{% for a in range(1000) %}{% for b in range(1000) %}{{ a }}{% endfor %}{% endfor %}",
        "{% for a in x %}{% for b in y %}{% for c in z %}{{ c }}{% endfor %}{% endfor %}{% endfor %}",
        (
            "{% macro m(y) %}{% for b in y %}{% for c in y %}{{ c }}{% endfor %}{% endfor %}{% endmacro %}"
            "{% for a in x %}{{ m(a) }}{% endfor %}"
        ),
        "{% for a in range(x) %}{% for b in range(x) %}{{ a }}{% endfor %}{% endfor %}",
    ],
    "recursion": [
        "{% macro f(n) %}{{ f(n) }}{% endmacro %}{{ f(1) }}",
        "{% macro f() %}{{ g() }}{% endmacro %}{% macro g() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{% for i in a recursive %}{{ loop(i) }}{% endfor %}",
        "{% block a %}{{ self.a() }}{% endblock %}",
    ],
    "too_much_code": [MACROS + "{{ m0() }}"],
    "import": [
        "{% include 'x' %}",
        "{% from 'x' import y %}",
        "{% import 'x' as y %}",
        "{% extends 'x' %}",
    ],
    "growth": [
        "{% set ns = namespace(x='a') %}{% for i in range(100) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
        "{% set x = 'a' %}{% for i in range(100) %}{% set x = x + x %}{% endfor %}",
    ],
    "template_size": [
        "{% set a = 'aaaaaaaaaa' %}" + "{% set a = a ~ a %}" * 40 + "{{ a }}",
        "{{ ('a' * 1000)|replace('a', 'b' * 1000)|replace('b', 'c' * 1000) }}",
        "{{ ('a' * 1000).replace('a', 'b' * 1000).replace('b', 'c' * 1000) }}",
        "{{ ('a,' * 10000).split(',')|join('b' * 10000) }}",
        "{{ ('b' * 10000).join(range(10000)) }}",
        "{% for i in range(50000) %}" + "a" * 1000 + "{% endfor %}",
        "{% for i in range(50000) %}" + "{{ x }}" * 50 + "{% endfor %}",
    ],
    "lipsum": ["{{ lipsum(n=1000000) }}"],
    "big_constant": ["{{ 1" + "0" * 50 + " }}", "{{ 1e300 }}"],
    "template_too_deep": ["{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}", "{{ " + "-" * 1500 + "1 }}"],
    "template_value": ["{{ " + "9" * 5000 + " }}"],
    "template_syntax": ["{{ x( }}", "{% if %}", "{{ states('a') | int( }}"],
    "template_too_long": ["{{ 1 }}" + "a" * 20_000],
}


ORDINARY = [
    "{{ states('sensor.x')|float * 1000000000 }}",
    "{{ 2 ** 3 }}",
    "{{ 10**2 / 3 }}",
    "{{ 2 ** -3 }}",
    "{{ (x|float)**2 + (y|float)**2 }}",
    "{{ '%0.1f'|format(states('sensor.x')|float) }}",
    "{{ '%02d:%02d' % (h, m) }}",
    "{{ '{:.1f}'.format(x) }}",
    "{{ states('sensor.x').replace('_', ' ')|title }}",
    "{{ x|replace('_', ' ')|replace('-', ' ')|replace('a', '<b>') }}",
    "{{ x.split('.')[0].replace('_', ' ') }}",
    "{{ x|regex_replace('^sensor\\.', '') }}",
    "{{ x|regex_findall('[0-9]+')|first }}",
    "{{ x|regex_match('^(\\d{1,3}\\.){3}\\d{1,3}$') }}",
    "{{ x|regex_search('foo|bar', ignorecase=True) }}",
    "{{ x|regex_search('(?i)a(?:bc)?[^d]*\\s+{2}$') }}",
    "{{ x|regex_search('a{2,4}\\0{,3}') }}",
    "{{ x|regex_search('(?:a|b)?c{x') }}",
    "{{ (x|float / 10**2)|round(1) }}",
    "{{ x|round(y) }}",
    "{{ '-' * 20 }}",
    "{{ [1, 2] * 3 }}",
    "{{ x * 86400 }}",
    "{{ x * y }}",
    "{{ 'a' * 1.5 }}",
    "{{ now().strftime('%H:%M') }}",
    "{% for s in states.light if s.state == 'on' %}{{ s.name }}, {% endfor %}",
    "{% set ns = namespace(n=0) %}{% for s in states %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}",
    "{% for k, v in x.items() %}{{ k }}{% else %}none{% endfor %}",
    "{% set a, b = x %}{{ a }}",
    "{{ as_timestamp(now()) - as_timestamp(states.x.y.last_changed) > 3600 * 24 }}",
    "{{ range(0, 255)|random }}",
    "{{ range(1, 10, 2)|list }}{{ range(5)|list }}",
    "{{ trigger.to_state.attributes.brightness * 100 // 255 }}",
    "{{ states.sensor|selectattr('attributes.device_class', 'eq', 'battery')|map(attribute='entity_id')|join(', ') }}",
    "{{ ['a', 'b']|random }}",
    "{{ (t // 60) % 60 }}",
    "{{ x % 60 }}",
    "{{ 7 % 0 }}{{ 1 / 0 }}",
    "{{ expand('group.a')|selectattr('state', 'in', ['on', 'open'])|list|count }}",
    "{{ (states.light|map(attribute='name')|list)[:3] }}",
    "{{ 'on' if is_state('a.b', 'on') else 'off' }}",
    "{% set d = {'a': 1} %}{{ d[x]|default('z') }}",
    "{{ states.sensor.x.state|float * 1.8 + 32 }}",
    "{{ -x + (+3) - (-3) }}{{ not x }}",
    "{% do x.append(1) %}{% for a in x %}{% continue %}{% break %}{% endfor %}",
    "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1) }}{{ m(2) }}",
    "{% macro m(a) %}{{ caller() }}{% endmacro %}{% call m(1) %}x{% endcall %}",
    "{% set a %}text{% endset %}{{ a }}{% filter upper %}b{% endfilter %}",
    "{% if x %}a{% elif y %}b{% else %}c{% endif %}",
    "{{ 'a'|center(10) }}{{ 'a'.center(10) }}{{ x|batch(3)|list }}",
    "{{ {'a': 1}|to_json }}{{ 'a'|urlencode }}{{ pack(1, '>I') }}",
    "{{ x|attr('name') }}{{ x|replace('a') }}",
    "{{ x is number }}{{ 'a' is string }}{{ x|reject('eq', 'a')|list }}",
    "{{ state_attr('a.b', 'c') }}{{ 1 < x < 2 }}{{ x in ['a'] }}",
    "{# a comment #}",
]


@pytest.mark.parametrize(("code", "template"), [(code, each) for code, all_ in REFUSED.items() for each in all_])
def test_a_template_that_is_not_provably_cheap_is_refused(code: str, template: str) -> None:
    assert codes(template) == [code]


@pytest.mark.parametrize("template", ORDINARY)
def test_an_ordinary_template_passes(template: str) -> None:
    assert codes(template) == []


def test_every_template_of_a_configuration_is_linted_keys_included() -> None:
    text = "a: {'{{ 2 ** 999999 }}': 1, b: ['{{ lipsum() }}', '{{ 1 }}', 3]}"
    reading = read_automation(text)
    assert [(finding.code, finding.path) for finding in reading.findings] == [("power", "a"), ("lipsum", "a/b/0")]
