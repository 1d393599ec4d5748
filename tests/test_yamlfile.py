import contextlib
import math
import os

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulator import yamlfile
from simulator.yamlfile import (
    DealError,
    Problem,
    dump,
    join_path,
    nearest,
    parse_value,
    read,
    read_text,
    split_path,
    split_set,
)

EXACT = {"derandomize": True, "deadline": None, "max_examples": 400}


@pytest.fixture(params=["c", "python"], autouse=True)
def loader(request, monkeypatch):
    if request.param == "python":
        monkeypatch.setattr(yamlfile, "_LOADER", yaml.SafeLoader)
    elif not hasattr(yaml, "CSafeLoader"):
        pytest.skip("no C parser here")


def data(text):
    return read_text(text, "deal.yaml").data


def problems(text):
    with pytest.raises(DealError) as caught:
        read_text(text, "deal.yaml")
    return caught.value.problems


def only(text):
    found = problems(text)
    assert len(found) == 1, found
    return found[0]


# --- what words mean


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("NO", "NO"),
        ("on", "on"),
        ("off", "off"),
        ("true", True),
        ("FALSE", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("none", "none"),
        ("12", 12),
        ("-12", -12),
        ("+12", 12),
        ("0", 0),
        ("010", "010"),
        ("0x1F", "0x1F"),
        ("0o17", "0o17"),
        ("0b1", "0b1"),
        ("1_000_000", "1_000_000"),
        ("12:30", "12:30"),
        ("2010-09", "2010-09"),
        ("2010-09-01", "2010-09-01"),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1.", 1.0),
        ("1e5", 1e5),
        ("-1.5E-3", -1.5e-3),
        ("010.5", "010.5"),
        ("1.2.3", "1.2.3"),
        ("10%", "10%"),
        ("=", "="),
        ("'12'", "12"),
        ('"true"', "true"),
        ("!!str 12", "12"),
        ("! 12", "12"),
        ("normal(mean 1, sd 2)", "normal(mean 1, sd 2)"),
        ("truncated(normal(mean 1,\n   sd 2), 0, 1)", "truncated(normal(mean 1, sd 2), 0, 1)"),
    ],
)
def test_yaml_12_core_words(text, value):
    found = data(f"a: {text}\n")["a"]
    assert found == value
    assert type(found) is type(value)


def test_marks():
    document = read_text("a: 1\nb:\n  c d: [x, {e: 2}]\n  'f.g': |\n    text\n", "deal.yaml")
    assert document.data == {"a": 1, "b": {"c d": ["x", {"e": 2}], "f.g": "text\n"}}
    assert document.marks == {
        (): (1, 1),
        ("a",): (1, 4),
        ("b",): (3, 3),
        ("b", "c d"): (3, 8),
        ("b", "c d", 0): (3, 9),
        ("b", "c d", 1): (3, 12),
        ("b", "c d", 1, "e"): (3, 16),
        ("b", "f.g"): (4, 10),
    }
    assert document.key_marks == {
        ("a",): (1, 1),
        ("b",): (2, 1),
        ("b", "c d"): (3, 3),
        ("b", "c d", 1, "e"): (3, 13),
        ("b", "f.g"): (4, 3),
    }
    assert document.position(("a",)) == (1, 4)
    assert document.position(("a",), key=True) == (1, 1)
    assert document.position(("b", "missing")) == (2, 1)
    assert document.position(("b", "c d", 1, "missing", 3)) == (3, 12)
    assert document.position(("missing",)) == (1, 1)
    problem = document.problem(("b", "f.g"), "is odd; be even", key=True)
    assert str(problem) == 'deal.yaml:4:3 b."f.g": is odd; be even'


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_marks_count_characters_and_lines_as_editors_do(newline):
    document = read_text(newline.join(["\ufeffé: {ü: ±, x: 1}", "# €", "b: [1, 2]", ""]), "deal.yaml")
    assert document.marks["é", "x"] == (1, 14)
    assert document.marks["b", 1] == (3, 8)


# --- commas inside parentheses


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (
            "{without_service: normal(mean 1.55, sd 0.10), effect: -10%}",
            {"without_service": "normal(mean 1.55, sd 0.10)", "effect": "-10%"},
        ),
        (
            "{e: truncated(normal(mean 10%, sd 5%), 0%, 100%)}",
            {"e": "truncated(normal(mean 10%, sd 5%), 0%, 100%)"},
        ),
        (
            "{e: truncated(normal(mean 10%, sd 5%), none, 1), f: 2}",
            {"e": "truncated(normal(mean 10%, sd 5%), none, 1)", "f": 2},
        ),
        ("{e: normal(1,2)}", {"e": "normal(1, 2)"}),
        ("{e: uniform(-5%, -1%)}", {"e": "uniform(-5%, -1%)"}),
        ("{e: normal(mean 1 sd 2), f: x}", {"e": "normal(mean 1 sd 2)", "f": "x"}),
        (
            "{a: normal(1, 2), b: normal(3, 2), c: normal(4, 2)}",
            {"a": "normal(1, 2)", "b": "normal(3, 2)", "c": "normal(4, 2)"},
        ),
        ("{a: {b: pert(1, 2, 3)}, c: beta(2, 8)}", {"a": {"b": "pert(1, 2, 3)"}, "c": "beta(2, 8)"}),
        ("{e: normal(mean 1,\n     sd 2), f: 3}", {"e": "normal(mean 1, sd 2)", "f": 3}),
        ("{e: normal(mean 1, # why\n     sd 2), f: 3}", {"e": "normal(mean 1, sd 2)", "f": 3}),
        ("{e: normal(mean\n     1, sd 2)}", {"e": "normal(mean 1, sd 2)"}),
        ("[normal(mean 1, sd 2), 3]", ["normal(mean 1, sd 2)", 3]),
        (
            "[0, truncated(normal(1, 2), 0, 1), pert(1,\n  2, 3)]",
            [0, "truncated(normal(1, 2), 0, 1)", "pert(1, 2, 3)"],
        ),
        ("[{a: beta(1, 2)}, [uniform(0, 1), 2]]", [{"a": "beta(1, 2)"}, ["uniform(0, 1)", 2]]),
        ("[mixture(70% normal(1, 2), 30% uniform(0, 1))]", ["mixture(70% normal(1, 2), 30% uniform(0, 1))"]),
        ("{homes (3 months, kept): 500, b: 1}", {"homes (3 months, kept)": 500, "b": 1}),
        ("{homes (a, b): beta(1, 2), c: 1}", {"homes (a, b)": "beta(1, 2)", "c": 1}),
        ("{empty: normal(1, 2), f: null}", {"empty": "normal(1, 2)", "f": None}),
        ("{e: 'normal(1, 2', f: '(, '}", {"e": "normal(1, 2", "f": "(, "}),
        ('[empirical(a.csv, "b c", d)]', ['empirical(a.csv, "b c", d)']),
        ("{e: smile :), f: x)}", {"e": "smile :)", "f": "x)"}),
    ],
)
def test_distributions_survive_flow_collections(text, value):
    assert data(f"x: {text}\n") == {"x": value}
    assert data(f"y:\n  x: {text}\n") == {"y": {"x": value}}
    assert parse_value(text) == value
    if isinstance(value, dict):
        assert data(text) == value


def test_positions_after_mending():
    document = read_text("{a: normal(1, 2), b (x, y): 5, c: [f(1, 2), 3]}", "deal.yaml")
    assert document.marks["a",] == (1, 5)
    assert document.key_marks["b (x, y)",] == (1, 19)
    assert document.marks["b (x, y)",] == (1, 29)
    assert document.marks["c", 0] == (1, 36)
    assert document.marks["c", 1] == (1, 45)
    assert len(document.marks) == 6


@pytest.mark.parametrize(
    ("text", "column", "path", "words"),
    [
        ("{a: normal(mean 1, sd 2}", 8, "x.a", ["normal(mean 1", "never closes"]),
        ("{a: normal(mean 1, b: 2}", 8, "x.a", ["never closes before 'b'"]),
        ("{a: normal(mean 1, sd: 2), c: 3}", 8, "x.a", ["never closes before 'sd'", "without a colon"]),
        ("[normal(1, 2, 3]", 5, "x.0", ["never closes"]),
        ("[1, f(2, [3], 4)]", 8, "x.1", ["never closes"]),
        ("{f(1: 2}", 5, "x", ["never closes"]),
    ],
)
def test_parentheses_that_never_close(text, column, path, words):
    problem = problems(f"x: {text}\n")[0]
    assert (problem.line, problem.column, problem.path) == (1, column, path)
    for word in words:
        assert word in problem.message


def test_quotes_after_a_comma_in_parentheses_say_what_to_do():
    problem = only('x: {e: empirical(f.csv, "my column")}\n')
    assert "must stand whole in ' '" in problem.message
    assert data("""x: {e: 'empirical(f.csv, "my column")'}\n""")["x"]["e"] == 'empirical(f.csv, "my column")'


# --- mistakes


def test_all_mistakes_at_once_in_order():
    text = "b: {c, d: 1}\na: 1\na: 2\n3: x\nf: .inf\ng: {h: (1, i: 2}\nb: !!int 4\n"
    found = problems(text)
    assert [(p.line, p.column, p.path) for p in found] == [
        (1, 5, "b.c"),
        (3, 1, "a"),
        (4, 1, ""),
        (5, 4, "f"),
        (6, 8, "g.h"),
        (7, 1, "b"),
        (7, 4, ""),
    ]
    assert "first is at line 2" in found[1].message
    with pytest.raises(DealError) as caught:
        read_text(text, "deal.yaml")
    assert str(caught.value).splitlines() == [str(problem) for problem in found]


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("", (1, 1), ["empty"]),
        ("# only a note\n", (1, 1), ["empty"]),
        ("---\n", (1, 1), ["empty"]),
        ("- 1\n", (1, 1), ["a list", "mapping"]),
        ("just text\n", (1, 1), ["single value", "mapping"]),
        ("a: 1\n---\nb: 2\n", (2, 1), ["second document"]),
        ("a: 1\n...\n---\nb: 2\n", (3, 1), ["second document"]),
        ("a: {b, c: 1}\n", (1, 5), ["no value", "comma", "colon"]),
        ("a: {b: , c: 1}\n", (1, 5), ["no value"]),
        ("a: {b: 1, sd 0.10), c: 1}\n", (1, 11), ["no value"]),
        ("a: {b: 1, b: 2}\n", (1, 11), ["second time", "line 1"]),
        ("1: a\n", (1, 1), ["1 is read as a number", "quote it"]),
        ("true: a\n", (1, 1), ["truth value"]),
        ("null: a\n", (1, 1), ["null"]),
        ("a:\n  ?\n  : 1\n", (2, 4), ["no name"]),
        ("? [a, b]\n: 1\n", (1, 3), ["a name must be a text"]),
        ("a: &x {b: 1}\nc:\n  <<: *x\n", (3, 3), ["<<", "not supported"]),
        ("a: *nothing\n", (1, 4), ["*nothing"]),
        ("a: &x [1, *x]\n", (1, 11), ["part of"]),
        ("a: !!python/object:os.system x\n", (1, 4), ["!!python/object:os.system"]),
        ("a: !!python/object/apply:os.system [x]\n", (1, 4), ["!!python/object/apply"]),
        ("a: !mine {b: 1}\n", (1, 4), ["!mine"]),
        ("a: !!set {b: 1}\n", (1, 4), ["!!set"]),
        ("a: !!binary aGk=\n", (1, 4), ["!!binary"]),
        ("a: .inf\n", (1, 4), ["finite"]),
        ("a: -.INF\n", (1, 4), ["finite"]),
        ("a: .nan\n", (1, 4), ["finite"]),
        ("a: 1e999\n", (1, 4), ["finite"]),
        ("a: " + "9" * 301 + "\n", (1, 4), ["301 digits"]),
        ("a: 1\n\tb: 2\n", (2, 1), ["tab"]),
        ("a:\n  b: 1\n\tc: 2\n", (3, 1), ["tab"]),
        ("a: b: c\n", (1, 5), ["not valid YAML", "quotes"]),
        ("a: @b\n", (1, 4), ["not valid YAML", "quotes"]),
        ("a: [1, 2\nb: 3\n", None, ["not valid YAML", "[ opened at line 1, column 4"]),
        ("a: {b: 1\n", None, ["not valid YAML", "{ opened at line 1, column 4"]),
        ("a: 'b\n", None, ["not valid YAML"]),
        ("a: 1\n b: 2\n", None, ["not valid YAML"]),
        ("a: \x00b\n", (1, 4), ["U+0000"]),
        ("a: \u2028b\n", (1, 4), ["U+2028"]),
        ("a: \x85b\n", (1, 4), ["U+0085"]),
        ("a: b\ufeff\n", (1, 5), ["U+FEFF"]),
        ("a: \ud800\n", (1, 4), ["U+D800"]),
        ('a: "\\0"\n', (1, 4), ["control character"]),
        ('"\\e[31m": 1\n', (1, 1), ["control character"]),
        ("a: " + "[" * 61 + "]" * 61 + "\n", (1, 63), ["nested too deeply"]),
        ("a: " + "{a: " * 100_000, None, ["nested too deeply"]),
        ("[" * 100_000, None, ["nested too deeply"]),
        ("- " * 100_000, None, ["nested too deeply"]),
    ],
)
def test_mistakes(text, place, words):
    problem = only(text)
    assert place is None or (problem.line, problem.column) == place
    assert "\n" not in str(problem)
    for word in words:
        assert word in problem.message


def test_syntax_errors_do_not_hide_what_stood_before():
    found = problems("a: 1\na: 2\nb: {c, d: 1}\ne: [1, {f: 2\n")
    assert [problem.line for problem in found[:2]] == [2, 3]
    assert len(found) == 3


def test_sixty_levels_are_fine():
    assert data("a: " + "[" * 59 + "]" * 59)["a"]


def test_aliases():
    document = read_text("a: &x {b: [1, 2]}\nc: *x\nd: &y yes\ne: *y\n*y : 5\n", "deal.yaml")
    assert document.data == {"a": {"b": [1, 2]}, "c": {"b": [1, 2]}, "d": "yes", "e": "yes", "yes": 5}
    assert document.data["a"] is not document.data["c"]
    assert document.marks["c",] == (2, 4)
    assert document.marks["c", "b"] == (1, 11)


def test_alias_bombs():
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 9)}]" for k in range(1, 12)]
    assert "100,000" in only("\n".join(lines)).message
    lines = ["a0: &a0 [1]"] + [f"a{k}: &a{k} [*a{k - 1}]" for k in range(1, 3000)]
    assert "nested too deeply" in only("\n".join(lines)).message


def test_many_values():
    assert len(data("a: [" + "1," * 50_000 + "1]")["a"]) == 50_001
    assert "100,000" in only("a: [" + "1," * 100_000 + "1]").message


def test_messages_stay_on_one_line_and_harmless():
    (problem,) = problems('"a\\nb": 1\n"a\\nb": 2\n')
    assert "\n" not in str(problem)
    assert "a\\nb" in str(problem)
    assert str(Problem("a\x1b[31m", 1, 2, "", "no; yes")) == "a\\x1b[31m:1:2: no; yes"


def test_problems_are_sorted_and_unique():
    one, two = Problem("d", 10, 1, "a", "x"), Problem("d", 9, 2, "b", "y")
    error = DealError([one, two, one])
    assert error.problems == [two, one]
    assert str(error) == "d:9:2 b: y\nd:10:1 a: x"
    assert DealError(one).problems == [one]


# --- files


def fault(path):
    with pytest.raises(DealError) as caught:
        read(path)
    (problem,) = caught.value.problems
    assert problem.file == str(path)
    return problem


def test_read(tmp_path):
    path = tmp_path / "deal.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: \xc2\xa35\r\n")
    assert read(path).data == {"a": "£5"}
    assert read(str(path)).name == str(path)


def test_files_that_cannot_be_read(tmp_path):
    path = tmp_path / "deal.yaml"
    assert "no such file" in fault(path).message
    assert "folder" in fault(tmp_path).message
    assert fault(tmp_path / "a\x00b").message
    assert fault(path / ("x" * 5000)).message
    path.write_bytes(b"a: b\nb: \xc3\xa9\xff\n")
    problem = fault(path)
    assert (problem.line, problem.column) == (2, 5)
    assert "0xff" in problem.message
    path.write_bytes(b"\xef\xbb\xbfa: \xff\n")
    assert (fault(path).line, fault(path).column) == (1, 4)
    path.write_bytes("a: b".encode("utf-16"))
    assert "UTF-16" in fault(path).message
    path.write_bytes(b"#" * 5_000_001)
    assert "5,000,001" in fault(path).message
    assert "5,000,000" in fault(path).message
    path.write_bytes(b"#" * 5_000_000)
    assert "empty" in fault(path).message


def test_endless_files_are_refused():
    if os.path.exists("/dev/zero"):
        assert "5,000,000" in fault("/dev/zero").message


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_forbidden_file(tmp_path):
    path = tmp_path / "deal.yaml"
    path.write_text("a: 1")
    path.chmod(0)
    assert "permissions" in fault(path).message


def test_forbidden_file_for_root_too(tmp_path, monkeypatch):
    path = tmp_path / "deal.yaml"
    path.write_text("a: 1")

    def refuse(*_args, **_kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", refuse)
    assert "permissions" in fault(path).message


# --- fuzz

SAMPLE = """deal: Fair Chance, Ambition
time: {start: 2015-01-01, step: quarter, horizon: 4 years}
outcomes:
  home:
    steps:
      - {chance: truncated(normal(mean 80%, sd 5%), 0, 1), after: 1 month}
      - &x [normal(1, 2), 'q', "d\\n", *y, !!str 5]
    note: |
      text: here
"""


def survives(text):
    try:
        document = read_text(text, "deal.yaml")
    except DealError as error:
        assert error.problems
        assert len(str(error).splitlines()) == len(error.problems)
        for problem in error.problems:
            assert problem.line >= 1
            assert problem.column >= 1
            assert problem.message
    else:
        assert read_text(dump(document.data), "again").data == document.data
    with contextlib.suppress(DealError):
        parse_value(text)


# The fixture only chooses the parser, which is the same for every example.
FUZZ = {**EXACT, "suppress_health_check": list(HealthCheck)}


@settings(**FUZZ)
@given(st.binary(max_size=200))
def test_any_bytes(raw):
    try:
        text = yamlfile._decode(raw, "deal.yaml")
    except DealError:
        return
    survives(text)


@settings(**FUZZ)
@given(st.text(alphabet="ab:-?,[]{}()#&*!|>'\"%@`~<= \t\n\r\\01.é\u2028\ufeff", max_size=60))
def test_any_punctuation(text):
    survives(text)


@settings(**FUZZ)
@given(
    st.integers(0, len(SAMPLE)),
    st.integers(0, 12),
    st.text(alphabet="ab:-?,[]{}()#&*!|>'\"%@ \t\n\\0x", max_size=4) | st.text(max_size=2),
)
def test_any_mutation(at, drop, insert):
    survives(SAMPLE[:at] + insert + SAMPLE[at + drop :])


# --- values on the command line


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("10%", "10%"),
        ("-10%", "-10%"),
        ("250000", 250_000),
        ("true", True),
        ("null", None),
        ("''", ""),
        ("none", "none"),
        ("normal(mean 1, sd 2)", "normal(mean 1, sd 2)"),
        ("10% ± 4%", "10% ± 4%"),
        ("£5m", "£5m"),
        ("2010-09 to 2012-08", "2010-09 to 2012-08"),
        ("[]", []),
        ("{}", {}),
        ("{below: 0%, points: [[50%, beta(1, 2)]]}", {"below": "0%", "points": [["50%", "beta(1, 2)"]]}),
    ],
)
def test_values(text, value):
    assert parse_value(text) == value


@pytest.mark.parametrize("text", ["", " ", "# x", "a: b", "- a", "{a: 1", "{a, b: 1}", "[.inf]", "{a: f(1}", "!!x 1"])
def test_values_that_are_wrong(text):
    with pytest.raises(DealError, match="--set x") as caught:
        parse_value(text, "--set x")
    assert len(caught.value.problems) == 1


# --- names and paths


def test_nearest():
    assert nearest("comitment", ["coupon", "commitment"]) == "commitment"
    assert nearest("At most", ["at_most", "at_least"]) == "at_most"
    assert nearest("zzz", ["coupon", "commitment"]) is None
    assert nearest("x" * 100_000, ["coupon"]) is None
    assert nearest("x", []) is None


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a", ("a",)),
        ("structures.as signed.at_most", ("structures", "as signed", "at_most")),
        ("tranches.0.rate", ("tranches", "0", "rate")),
        ('"a.b".c', ("a.b", "c")),
        ('a."b=c:d"', ("a", "b=c:d")),
        ('"say ""no"""', ('say "no"',)),
        ("2015.x", ("2015", "x")),
        ('"".x', ("", "x")),
        ('" a "', (" a ",)),
    ],
)
def test_paths(text, parts):
    assert split_path(text) == parts
    assert join_path(parts) == text
    assert split_set(f"{text}=b=c") == (parts, "b=c")


def test_split_path_is_lenient_about_blanks():
    assert split_path(' a . "b" .0 ') == ("a", "b", "0")
    assert split_path('"0"') == ("0",)
    assert join_path(("a", 0)) == "a.0"
    assert split_set(" a.b = {c: 1} ") == (("a", "b"), "{c: 1}")


@settings(**FUZZ)
@given(st.lists(st.text(max_size=8) | st.text(alphabet='ab."=: 1\n', max_size=5) | st.integers(0, 99), min_size=1))
def test_path_round_trip(parts):
    text = join_path(parts)
    assert split_path(text) == tuple(map(str, parts))
    assert split_set(text + "=x=y") == (tuple(map(str, parts)), "x=y")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("a..b", "empty part"),
        (".a", "empty part"),
        ("a.", "empty part"),
        ("a:b", "double quotes"),
        ("a=b", "double quotes"),
        ('a"b', "double quotes"),
        ('"a', "do not close"),
        ('"a"b', "quotes"),
    ],
)
def test_bad_paths(text, words):
    with pytest.raises(ValueError, match=words):
        split_path(text)


@pytest.mark.parametrize(
    ("text", "words"), [("a.b", "no '='"), ('"a=b', "no '='"), ("=1", "empty"), ("a:b=1", "quotes")]
)
def test_bad_sets(text, words):
    with pytest.raises(ValueError, match=words):
        split_set(text)


# --- writing


def test_dump_is_readable():
    plain = {
        "deal": "Fair Chance Fund, Ambition",
        "time": {"start": "2015-01-01", "step": "quarter"},
        "paid": True,
        "nothing": None,
        "effect": "-10%",
        "prior": "truncated(normal(mean 10%, sd 5%), 0%, none)",
        "count": "1_000",
        "as text": ["12", "yes", "true", "", "a: b", "# x", "- x", "it's"],
        "table": [[0.5, 2], {"a": 1, "b": [{"c": "d"}]}, [], {}],
        "12": 1e-7,
        "note": "one\n\ntwo: 2\n",
    }
    text = dump(plain)
    assert text == (
        "deal: Fair Chance Fund, Ambition\n"
        "time:\n"
        "  start: 2015-01-01\n"
        "  step: quarter\n"
        "paid: true\n"
        "nothing: null\n"
        "effect: -10%\n"
        "prior: truncated(normal(mean 10%, sd 5%), 0%, none)\n"
        "count: 1_000\n"
        "as text:\n"
        "  - '12'\n"
        "  - yes\n"
        "  - 'true'\n"
        "  - ''\n"
        "  - 'a: b'\n"
        "  - '# x'\n"
        "  - '- x'\n"
        "  - it's\n"
        "table:\n"
        "  - - 0.5\n"
        "    - 2\n"
        "  - a: 1\n"
        "    b:\n"
        "      - c: d\n"
        "  - []\n"
        "  - {}\n"
        "'12': 1e-07\n"
        "note: |\n"
        "  one\n"
        "\n"
        "  two: 2\n"
    )
    assert data(text) == plain


TEXTS = (
    st.text(max_size=12)
    | st.text(alphabet="ab:-?,[]{}()#&*!|>'\"%@`~<= \t\n\\0.1eé\xa0", max_size=8)
    | st.sampled_from(["null", "~", "true", "<<", "---", "...", "0x1", ".inf", "1e999", "=", "-", "?", ": "])
).filter(lambda text: not yamlfile._BAD_VALUE.search(text))
PLAIN = st.recursive(
    TEXTS
    | st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@settings(**FUZZ | {"max_examples": 200})
@given(st.dictionaries(TEXTS, PLAIN, min_size=1, max_size=5))
def test_dump_round_trip(plain):
    found = data(dump(plain))
    assert found == plain
    assert repr(found) == repr(plain)


def test_dump_of_long_names():
    plain = {"a": [{"b" * 2000: [1], "c": {"d " * 2000 + "d": "é" * 3000}}], "e'" * 600: "x\ny"}
    assert data(dump(plain)) == plain


def test_dump_of_one_value_reads_back():
    for value in (5, "5", None, "a b", [], {}):
        assert parse_value(dump(value)) == value


@pytest.mark.parametrize("value", [{1: 2}, {"a": math.inf}, {"a": {1, 2}}, {"a": "\x00"}, {"a": math.nan}])
def test_dump_refuses(value):
    with pytest.raises(ValueError, match=r"."):
        dump(value)
