"""Files with one mistake each, four at once, none that is a file, and thousands of mutations: never a traceback.

Each file in bad_deals begins with what is expected of it: `# expected: LINE:COLUMN path: what; what is allowed`.
"""

import copy
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from simulator import dealfile
from simulator.dealfile import load, loads
from simulator.doubts import Doubts
from simulator.grammar import is_field
from simulator.plan import compile_plan
from simulator.run import simulate
from simulator.yamlfile import DealError, dump, read_text

FOLDER = Path(__file__).parent / "bad_deals"
FILES = sorted(FOLDER.glob("*.yaml"))
SCENARIOS = sorted((Path(__file__).parent.parent / "scenarios").glob("*.yaml"))

GOOD = """\
deal: A small group
currency: GBP
time: {start: 2024-04, step: quarter, horizon: 4 years}
quantities:
  lag: uniform(3 months, 6 months)
cohorts:
  first year:  {people: 8, referred: 2024-04 to 2025-03, referrals: 80% to 100%}
  second year: {people: 8, referred: 2025-04 to 2026-03, last_claim: 2027-03}
outcomes:
  in work:
    counts: yes or no
    without_service: 10% to 20%
    effect: 15% ± 6%
    effect_as: units
    known_after: 9 months
    comparison_arm: {people: 2 per person, effective_share: 80%}
  hospital days:
    counts: events
    better: fewer
    without_service: 3
    effect: -10%
    baseline: 3
    dispersion: 0.7
    known_after: 6 months
  home:
    without_service: {first_step: 20%}
    evidence: {missing: 5%}
    steps:
      moves in: {chance: 60%, after: lag}
      stays half a year: {chance: 70%, after: 6 months}
      goes home: {chance: 20%, after: 6 months, follows: moves in, instead_of: stays half a year}
measures:
  more work: {increase_in: in work, against: comparison_arm, as: share}
payers: {city: 60%, country: 40%}
costs: {set_up: 20000, delivery: 110000 a year}
finance: {commitment: 260000, called: 1 quarter ahead}
structures:
  at least 20:
    group_threshold: {outcome: in work, at_least: 2 people, pays: 260000}
  card:
    rate_card: {in work: 5000, moves in: 500, stays half a year: 1500}
    at_most: {per_person: 6000, year: 20000, contract: 300000}
  days:
    control_comparison: {outcome: hospital days, each_cohort: at least 5%, against: baseline, price: 100}
  comparison:
    pays:
      each:
        for: each cohort
        when: {more work: at least 50%}
        amount: {price: 9000, times: in work}
      both:
        for: all cohorts that ran
        unless: each
        when: {more work: at least 30%}
        amount: {by: more work, table: {below: 0, points: [[30%, 100k], [60%, 200k]]}}
        at_most: 150k
  conventional: {fee: 110000, paid: evenly, finance: none}
ends_early: {policy_change: {chance_a_year: 5%}}
facts:
  time.start: the contract
"""

RICH = """\
deal: Every kind
currency: GBP
time: {start: 2022-04, step: quarter, horizon: 6 years}
cohorts:
  one: {people: 6, referred: 2022-04 to 2023-03, referrals: 70% to 100%}
  two: {people: 6, referred: 2023-04 to 2024-03, attrition: 5% to 15%}
segments:
  prolific: {share: 20%, levels: {care days: 1.5}, effects: {care days: 0.5}}
  others: {levels: {care days: 0.8}}
frailty_correlation: 20%
outcomes:
  care days:
    counts: amount
    any: 80%
    spread: 120
    better: fewer
    without_service: normal(mean 260, sd 30)
    effect: -25% ± 10%
    baseline: 300
    baseline_resets: {every: 1 year, share: 50%}
    trend: -3% a year
    common_shock: 0% ± 5%
    between_cohorts: 10%
    clusters: {size: 25, icc: 2%, explained: 30%}
    learning: 5%
    delay: 1 month
    known_after: 12 months
  wellbeing:
    counts: score
    spread: 8
    without_service: 20
    effect: 3 ± 1.5
    effect_as: units
    before: {level: 17, normal_level: 21, persistence: 60%}
    known_after: 6 months
  finished:
    without_service: 10% to 20%
    effect: 30% ± 8%
    effect_as: units
    known_after: 6 months
  found a job:
    of_those: finished
    without_service: 40%
    effect: 15%
    known_after: 9 months
measures:
  days saved: {reduction_in: care days, against: baseline, as: units}
  gain: {increase_in: wellbeing, against: before, as: per person}
structures:
  days:
    pays:
      saved: {for: each cohort, amount: {price: 60, times: days saved}}
      gained:
        for: all cohorts that ran
        when: {gain: at least 2}
        amount: {by: gain, table: {below: 0, points: [[2, 1000], [5, 2500]], between: straight line}}
    at_most: {contract: 1.2m, year: 500k}
    costs: {set_up: 5000 at the start, delivery: 600 per person, evaluation: 2000 at the end}
    finance: {commitment: 40000, called: 1 quarter ahead, recycled: true}
  card: {rate_card: {finished: 1500, found a job: {price: 4000, at_most: {outcomes: 12}}}}
"""


def expected(path):
    lines = path.read_bytes().decode("utf-8", "replace").splitlines()
    return [line.removeprefix("# expected: ") for line in lines if line.startswith("# expected: ")]


def said(error, path):
    return [str(problem).removeprefix(f"{path}:") for problem in error.problems]


def mistakes(text):
    """Load a text that is wrong; the lines that are said about it."""
    with pytest.raises(DealError) as caught:
        loads(text, "deal.yaml")
    return str(caught.value).splitlines()


def test_the_good_deal_is_good():
    assert simulate(loads(GOOD), draws=2, threads=1).structures == [
        "at least 20",
        "card",
        "days",
        "comparison",
        "conventional",
    ]


def test_there_are_many():
    assert len(FILES) >= 60
    assert sum(len(expected(path)) == 4 for path in FILES) >= 3


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_mistake_is_said_with_its_place_and_what_is_allowed(path):
    with pytest.raises(DealError) as caught:
        load(path)
    assert said(caught.value, path) == expected(path)


def test_the_command_says_all_mistakes_of_all_files_on_one_line_each():
    command = [sys.executable, "-c", "from simulator.cli import main; main()", "check", *map(str, FILES)]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)
    assert (done.returncode, done.stdout) == (2, "")
    lines = done.stderr.splitlines()
    assert lines == [f"{path}:{line}" for path in FILES for line in expected(path)]
    assert all(re.match(r".+\.yaml:\d+:\d+(: | .+: ).+", line) for line in lines)


def test_an_empty_file(tmp_path):
    path = tmp_path / "empty.yaml"
    path.write_bytes(b"")
    with pytest.raises(DealError, match=r"empty\.yaml:1:1: the file is empty; a deal is a mapping"):
        load(path)


def test_a_huge_file(tmp_path):
    path = tmp_path / "huge.yaml"
    path.write_text("deal: x\n" + "# a note\n" * 600_000, encoding="utf-8")
    with pytest.raises(DealError, match=r"huge\.yaml:1:1: the file holds 5,400,008 bytes; at most 5,000,000 are read"):
        load(path)


def test_a_folder_in_place_of_a_file(tmp_path):
    with pytest.raises(DealError) as caught:
        load(tmp_path)
    assert str(caught.value) == f"{tmp_path}:1:1: this is a folder; give a deal file"


def test_files_that_extend_each_other(tmp_path):
    for one, other in (("a.yaml", "b.yaml"), ("b.yaml", "a.yaml")):
        (tmp_path / one).write_text(f"extends: {other}\n", encoding="utf-8")
    with pytest.raises(DealError, match=r"b\.yaml:1:10 extends: a\.yaml extends this file in a circle; allowed: "):
        load(tmp_path / "a.yaml")


def test_a_mistake_is_placed_in_the_file_that_makes_it(tmp_path):
    (tmp_path / "below.yaml").write_text(GOOD.replace("people: 8,", "people: -8,", 1), encoding="utf-8")
    (tmp_path / "above.yaml").write_text("extends: below.yaml\ntime: {step: week}\n", encoding="utf-8")
    with pytest.raises(DealError) as caught:
        load(tmp_path / "above.yaml")
    assert str(caught.value).splitlines() == [
        f'{tmp_path / "above.yaml"}:2:14 time.step: "week" is not known; allowed: month, quarter, half year or year',
        f"{tmp_path / 'below.yaml'}:7:25 cohorts.first year.people: -8 is out of range; allowed: at least 0",
    ]


def test_an_alias_bomb_is_refused_at_once():
    bomb = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
    bomb += "".join(
        f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]\n" for a, b in zip("abcdefghij", "bcdefghijk", strict=True)
    )
    (line,) = mistakes(GOOD + bomb)
    assert "more than 100,000 values" in line


def test_comparisons_of_one_outcome_with_two_yardsticks_do_not_share_a_measure():
    card = "    rate_card: {in work: 5000, moves in: 500, stays half a year: 1500}\n"
    other = "    control_comparison: {outcome: hospital days, each_cohort: at least 5%, against: 2, price: 100}\n"
    deal = loads(GOOD.replace(card, other))
    bases = {
        name: str(deal.measures[measure].against)
        for name in ("card", "days")
        for measure in deal.structures[name].pays["each cohort"].when
    }
    assert bases == {"card": "2", "days": "baseline"}


def test_a_measure_of_the_file_does_not_stand_in_for_that_of_a_short_form():
    text = GOOD.replace("at_least: 2 people", "at_least: 30% people")
    text = text.replace("measures:\n", "measures:\n  share with in work: {share_of: moves in}\n")
    deal = loads(text)
    (measure,) = deal.structures["at least 20"].pays["group threshold"].when
    assert deal.measures[measure].share_of == "in work"


@pytest.mark.parametrize(
    ("old", "new", "unit"),
    [
        ("commitment: 260000", "commitment: NAME", "uniform(200k, 300k)"),
        ("points: [[30%, 100k], [60%, 200k]]", "points: [[NAME, 100k], [60%, 200k]]", "uniform(10%, 30%)"),
        ("without_service: 3", "without_service: NAME", "uniform(2, 4)"),
        ("people: 8,", "people: NAME,", "uniform(5, 9)"),
        ("set_up: 20000", "set_up: NAME", "uniform(20k, 30k)"),
    ],
)
def test_a_name_may_stand_for_a_number_and_must_be_known(old, new, unit):
    text = GOOD.replace(old, new.replace("NAME", "some number"), 1)
    named = text.replace("quantities:\n", f"quantities:\n  some number: {unit}\n")
    simulate(loads(named), draws=2, threads=1)
    (line,) = mistakes(text)
    assert "'some number' is neither a number, a distribution nor a named quantity; allowed: " in line


# ---------------------------------------------------------------------------------------------------
# Mutations
# ---------------------------------------------------------------------------------------------------

VALUES = (
    *("0", "-1", "1e9", "3.5", "100%", "-5%", "250%", "none", "yes", "true", "null", "''", "~", "[]", "{}", "[1, 2]"),
    *("10% to 20%", "20% ± 5%", "normal(mean 10%, sd 4%)", "beta(2, 8)", "uniform(1, 2", "truncated(lag, 0, 1)"),
    *("lag", "referral", "in work", "moves in", "each", "more work", "2024-04", "2031-02-30", "2024-04 to 2026-03"),
    *(
        "3 months",
        "9 years",
        "at least 10%",
        "10 per person",
        "5000 a year",
        "€5",
        "*x",
        "&x 1",
        "!!int 3",
        "!x",
        "a: b",
    ),
)
CHARACTERS = "{}[]():,#&*!|>'\"%@`~-? \t\n\\0159.xé±€\x00\x85\u2028\ufeff"
MOST_PEOPLE = 2_000  # what a mutation is simulated with; more only takes longer


def mutated(text, chance):
    lines = text.splitlines()
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        at, to = chance.randrange(len(lines)), chance.randrange(len(lines))
        kind = chance.randrange(8)
        line = lines[at]
        if kind == 0:
            del lines[at]
        elif kind == 1:
            lines.insert(to, line)
        elif kind == 2:
            lines[at], lines[to] = lines[to], lines[at]
        elif kind == 3:
            lines[at] = (" " * chance.randrange(9)) + line.strip()
        elif kind == 4:
            place = chance.randrange(len(line) + 1)
            lines[at] = line[:place] + chance.choice(CHARACTERS) + line[place + chance.randrange(2) :]
        elif kind == 5:
            words = re.split(r"(: |, |[{}\[\]]| )", line)
            words[chance.randrange(len(words))] = chance.choice(VALUES)
            lines[at] = "".join(words)
        elif kind == 6:
            lines[at] = re.sub(r"[0-9]+", lambda found: str(int(found[0]) * chance.choice((0, 1, 3, 100))), line)
        else:
            lines[at] = re.sub(r": [^,{}]+", lambda _: f": {chance.choice(VALUES)}", line, count=1)
        if not lines:
            break
    return "\n".join(lines) + "\n"


def survives(text):
    """Whether a text is a deal; it must be one that runs, or be refused with a place and a reason."""
    try:
        deal = loads(text, "deal.yaml")
    except DealError as error:
        lines = str(error).splitlines()
        assert lines
        assert all(re.match(r"[^:]+:\d+:\d+(: | .+: ).+", line) for line in lines), lines
        return False
    people = sum(cohort.people.mean() if cohort.people.kind != "named" else 1e9 for cohort in deal.cohorts.values())
    assert compile_plan(deal).columns
    if people <= MOST_PEOPLE and deal.time.periods <= 200:
        simulate(deal, draws=64, threads=1).to_json()
    return True


def judged(text):
    try:
        return survives(text)
    except Exception as error:
        raise AssertionError(f"{type(error).__name__}: {error}\n{text}") from error


@pytest.mark.parametrize("seed", range(8))
def test_a_mutated_deal_runs_or_is_refused(seed):
    chance = random.Random(seed)
    valid = sum(judged(mutated(GOOD, chance)) for _ in range(60))
    assert 3 <= valid <= 40


@pytest.mark.parametrize("seed", range(4))
def test_a_mutated_deal_of_every_kind_of_outcome_runs_or_is_refused(seed):
    chance = random.Random(seed)
    assert survives(RICH)
    valid = sum(judged(mutated(RICH, chance)) for _ in range(60))
    assert 3 <= valid <= 50


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_a_mutated_deal_that_ships_is_read_or_refused(path):
    chance, text = random.Random(5), path.read_text(encoding="utf-8")
    for _ in range(10):
        judged(mutated(text, chance))


def test_an_empty_value_anywhere_is_refused_or_runs():
    lines = GOOD.splitlines()
    for at, line in enumerate(lines):
        head = re.match(r" *[^:{}]+:", line)
        if head:
            judged("\n".join([*lines[:at], head[0], *lines[at + 1 :]]) + "\n")
            judged("\n".join([*lines[:at], head[0] + " {}", *lines[at + 1 :]]) + "\n")


# ---------------------------------------------------------------------------------------------------
# One mistake does not hide another, and is not said twice
# ---------------------------------------------------------------------------------------------------


def places(value, path=()):
    """Every path of plain data, the names of provenance left out."""
    if path:
        yield path
    if path[:1] not in {("facts",), ("assumptions",), ("sources",)}:
        for key, item in (
            value.items() if isinstance(value, dict) else enumerate(value if isinstance(value, list) else ())
        ):
            yield from places(item, (*path, key))


def with_mistakes(data):
    """Deals with one mistake of types each: a value that cannot be, or a key of the grammar misspelt."""
    for number, path in enumerate(places(data)):
        for kind in ("value", "key"):
            wrong = copy.deepcopy(data)
            here = wrong
            for part in path[:-1]:
                here = here[part]
            if kind == "value":
                here[path[-1]] = (-7, "zzz", "5 years", [1], True)[number % 5]
            elif is_field(path):
                items = [(f"{key}q" if key == path[-1] else key, item) for key, item in here.items()]
                here.clear()
                here.update(items)
            yield wrong


def by_types_and_further(data, monkeypatch):
    """What the types say of a file, and what is said beside; None if the types find nothing."""
    text, said = dump(data), []
    for further in (False, True):
        with monkeypatch.context() as patched:
            if not further:
                patched.setattr(dealfile, "problems", lambda *_, **__: [])
            try:
                loads(text)
                said.append(set())
            except DealError as error:
                said.append({str(problem) for problem in error.problems})
    return (said[0], said[1] - said[0]) if said[0] else None


@pytest.mark.parametrize("careless", [False, True])
def test_a_mistake_of_types_brings_no_other_message(careless, monkeypatch):
    if careless:  # as it would be if nothing were left out
        monkeypatch.setattr(Doubts, "follow", lambda *_: False)
    found = [by_types_and_further(each, monkeypatch) for each in with_mistakes(read_text(GOOD, "deal").data)]
    wrong = [each for each in found if each is not None]
    assert len(wrong) > 150
    assert (sum(bool(further) for _, further in wrong) > 30) is careless
    assert careless or not any(further for _, further in wrong)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("people: 8,", "people: many,"),
        ("better: fewer", "better: less"),
        ("dispersion: 0.7", "dispersoin: 0.7"),
        ("step: quarter", "step: fortnight"),
        ("price: 100}", "price: free}"),
        ("set_up: 20000", "set_up: [20000]"),
    ],
)
def test_a_mistake_of_types_hides_no_mistake_of_rules_elsewhere(old, new):
    rules = GOOD.replace("{city: 60%,", "{city: 70%,").replace("unless: each\n", "unless: eech\n")
    rules = rules.replace("time.start: the contract", "time.begin: the contract")
    three = mistakes(rules)
    assert len(three) == 3
    assert old in rules
    four = mistakes(rules.replace(old, new, 1))
    assert set(three) < set(four)
    assert len(four) == 4


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ("  first year:  {", "  '': {", 'cohorts.""'),
        ("  in work:\n", "  ' ':\n", 'outcomes." "'),
        ("  more work: {", "  '': {", 'measures.""'),
        ("  card:\n", "  '':\n", 'structures.""'),
        ("      each:\n", "      '':\n", 'structures.comparison.pays.""'),
        ("      moves in: {", "      '': {", 'outcomes.home.steps.""'),
        ("{city: 60%,", "{'': 60%,", 'payers.""'),
        ("  lag: uniform", "  '': uniform", 'quantities.""'),
    ],
)
def test_a_name_may_not_be_empty(old, new, path):
    assert any(f" {path}: the name is empty; allowed: " in line for line in mistakes(GOOD.replace(old, new, 1)))


@pytest.mark.parametrize("key", ["unit", "baseline", "of_those", "before"])
@pytest.mark.parametrize("nothing", ["", "null", "~"])
def test_a_key_without_a_value_is_not_read_as_if_it_were_not_there(key, nothing):
    (line,) = mistakes(
        GOOD.replace("    known_after: 9 months\n", f"    known_after: 9 months\n    {key}: {nothing}\n")
    )
    assert f" outcomes.in work.{key}: an empty value; allowed: " in line
