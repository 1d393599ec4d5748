"""The deals that ship: provenance of every number, families of structures, closed forms, results files."""

import csv
import re
from pathlib import Path

import pytest
from scipy.stats import binom

from simulator.checks import problems
from simulator.deal import Clause, Deal, Structure, leaves, measure_of, outcome_names, outcome_of, quantity_of
from simulator.dealfile import load, loads, show
from simulator.run import simulate
from simulator.yamlfile import read, split_path

FOLDER = Path(__file__).parent.parent / "scenarios"
RESULTS = sorted((FOLDER / "results").glob("*.csv"))
DEALS = sorted(FOLDER.glob("*.yaml"))

PROVENANCE = {"deal", "currency", "note", "sources", "facts", "assumptions", "actual"}
SECTIONS = ("payers", "costs", "payer_costs", "finance")  # written once, inherited by every structure
SHORT = {"rate_card": (), "group_threshold": ("group threshold",), "control_comparison": ("each cohort",)}

each_deal = pytest.mark.parametrize("path", DEALS, ids=lambda path: path.stem)
each_results = pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)


def deal_of(results: Path) -> Path:
    """Find the deal file whose name begins the name of a results file."""
    return next(path for path in DEALS if results.stem.startswith(path.stem))


def rows_of(results: Path) -> list[dict[str, str]]:
    with results.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


# ---------------------------------------------------------------------------------------------------
# Provenance
# ---------------------------------------------------------------------------------------------------


def covered_paths(deal: Deal) -> set[tuple[str, ...]]:
    return {split_path(text) for text in [*deal.facts, *deal.assumptions]}


def is_covered(path: tuple[str, ...], covered: set[tuple[str, ...]]) -> bool:
    return any(path[:length] in covered for length in range(1, len(path) + 1))


def written_at(document: object, path: tuple[str, ...]) -> bool:
    for part in path:
        if not (isinstance(document, dict) and part in document):
            return False
        document = document[part]
    return True


def uncovered_leaves(path: Path) -> list[str]:
    """Numbers of the resolved deal that have neither a source nor a reason, defaults apart."""
    deal, document = load(path), read(path).data
    covered = covered_paths(deal)
    missing = []
    for leaf in leaves(deal):
        where = tuple(str(part) for part in leaf.path)
        named = leaf.quantity.kind == "named" and ("quantities", str(leaf.quantity.args[0]))
        places = [where]
        if where[0] == "structures" and len(where) > 3 and where[2] in SECTIONS:
            own = written_at(document, where[:3]) and document["structures"][where[1]][where[2]] != "none"
            places = [where] if own else [("structures", "as signed", *where[2:])]
        if named and is_covered(named, covered):
            continue
        if any(is_covered(place, covered) for place in places):
            continue
        if is_default(leaf.path, deal, document):
            continue
        missing.append(".".join(where))
    return missing


def is_default(path: tuple[str | int, ...], deal: Deal, document: object) -> bool:
    """Whether the file does not write a number: neither at its path nor in anything that becomes it."""
    where = tuple(str(part) for part in path)
    if where[0] == "structures":
        return len(where) > 2 and where[2] == "paid_after" and not written_at(document, where)
    if where[0] == "outcomes" and "evidence" in where:
        # the evidence of a chain is written once and copied to its steps
        return not written_at(document, (*where[:2], "evidence", where[-1])) and not written_at(
            document, where
        )
    if where[0] == "measures" and where[1] not in document.get("measures", {}):
        return False
    return not written_at(document, where)


def written_numbers(value: object, path: tuple[str, ...], names: set[str]) -> list[tuple[str, ...]]:
    """Paths of everything with a digit in it that a file writes, names of outcomes and the like apart."""
    if isinstance(value, dict):
        return [each for key, item in value.items() for each in written_numbers(item, (*path, key), names)]
    if isinstance(value, list):
        return [each for item in value for each in written_numbers(item, path, names)]
    if path[-1] == "note" or str(value) in names or not re.search(r"\d", str(value)):
        return []
    return [path]


def resolved_place(path: tuple[str, ...]) -> tuple[str, ...]:
    """Where a number of the file's short form is said to be from."""
    if path[0] in SECTIONS:
        return ("structures", "as signed", *path)
    if path[0] == "structures" and path[2] in SHORT:
        return (*path[:2], "pays", *SHORT[path[2]], *path[3:])
    return path


@each_deal
def test_every_number_of_the_resolved_deal_has_a_source_or_a_reason(path):
    assert uncovered_leaves(path) == []


@each_deal
def test_everything_written_with_digits_has_a_source_or_a_reason(path):
    deal, document = load(path), read(path).data
    covered = {place for each in covered_paths(deal) for place in (each, resolved_place(each))}
    # a group threshold's measure and amount lie under different clause keys; its clause is named by its short form
    clause = {each[:4] for each in covered if each[2:4] == ("pays", "group threshold")}
    names = {*outcome_names(deal), *deal.outcomes, *deal.measures, *deal.quantities, *deal.cohorts}
    found = [
        place
        for key, value in document.items()
        if key not in PROVENANCE
        for place in written_numbers(value, (key,), names)
    ]
    assert found
    assert [
        ".".join(place)
        for place in found
        if not (is_covered(place, covered) or is_covered(resolved_place(place), covered | clause))
    ] == []


@each_deal
def test_a_number_without_a_source_would_be_found(path, tmp_path):
    deal = load(path)
    keys = [*deal.facts, *deal.assumptions]
    for key in keys:
        less = deal.model_copy(
            update={
                "facts": {k: v for k, v in deal.facts.items() if k != key},
                "assumptions": {k: v for k, v in deal.assumptions.items() if k != key},
            }
        )
        assert len(covered_paths(less)) == len(keys) - 1
    text = path.read_text(encoding="utf-8")
    # take the reason for a quantity away: the file still loads, but the walk finds what it leaves bare
    key = next(key for key in deal.assumptions if key.startswith("quantities."))
    less = re.sub(rf"(?m)^  {re.escape(key)}: (>-\n(    .*\n)+|.*\n)", "", text)
    assert less != text
    copy = tmp_path / path.name
    copy.write_text(less, encoding="utf-8")
    assert uncovered_leaves(copy)


@each_deal
def test_each_fact_names_a_source_and_each_source_is_used(path):
    text, deal = path.read_text(encoding="utf-8"), load(path)
    for where, fact in deal.facts.items():
        assert fact.partition(": ")[0] in deal.sources, where
    if deal.actual is not None:
        assert deal.actual.source.partition(": ")[0] in deal.sources
    for source in deal.sources:
        assert text.count(source) > 1, source
    assert not set(deal.facts) & set(deal.assumptions)


@each_deal
def test_each_source_has_a_year_or_a_public_number(path):
    for name, title in load(path).sources.items():
        assert re.search(r"\b(19|20)\d\d\b|INDIGO-POJ-\d{4}", name + " " + title) or "." in name, name


@each_deal
def test_no_path_or_place_of_work_is_named(path):
    assert not re.search(r"/(work|tmp|home)\b|shared/", path.read_text(encoding="utf-8"))


# ---------------------------------------------------------------------------------------------------
# Structures
# ---------------------------------------------------------------------------------------------------


def family(deal: Deal, structure: Structure) -> set[str]:
    """Families of a structure: rate card, group threshold, comparison, fee."""
    return {family_of_clause(deal, clause) for clause in structure.pays.values()}


def family_of_clause(deal: Deal, clause: Clause) -> str:
    if clause.for_ == "the contract":
        return "fee"
    if not clause.when:
        return "rate card"
    kinds = {measure_of(deal, name).kind for name in [*clause.when, clause.amount.times] if name}
    if clause.amount.lump_sum is not None:
        return "group threshold"
    return "comparison" if kinds & {"reduction", "increase"} else "group threshold"


SIGNED = {"peterborough": "comparison", "augsburg": "group threshold", "fair_chance_fund": "rate card"}


@each_deal
def test_each_file_has_the_deal_as_signed_two_other_families_and_a_fee(path):
    deal = load(path)
    families = {name: family(deal, structure) for name, structure in deal.structures.items()}
    assert all(len(each) == 1 for each in families.values()), families
    assert next(iter(families)) == "as signed"
    assert families.pop("conventional") == {"fee"}
    signed = families.pop("as signed")
    assert signed == {SIGNED.get(path.stem, *signed)}
    assert len(families) >= 2
    others = set().union(*families.values())
    assert len(others - signed) >= 2


@each_deal
def test_the_shown_form_reads_back_equal(path):
    deal = load(path)
    again = loads(show(deal))
    assert again == deal
    assert show(again) == show(deal)
    assert problems(again) == []


@each_deal
def test_the_fee_is_the_expected_cost_of_delivery(path):
    deal = load(path)
    conventional = deal.structures["conventional"]
    fee = conventional.pays["fee"].amount.lump_sum.mean()
    window = deal.time.service
    years = (window.last.index - window.first.index + 1) / 12
    delivery = conventional.costs.delivery
    assert delivery.form == "a year"
    assert fee == pytest.approx(quantity_of(deal, delivery.quantity).mean() * years, rel=1e-3)


@each_deal
def test_planned_costs_lie_within_the_commitment_or_are_met_from_receipts(path):
    """On the expected path capital and the contract's maximum together pay for the service."""
    deal = load(path)
    signed = deal.structures["as signed"]
    window = deal.time.service
    years = (window.last.index - window.first.index + 1) / 12
    planned = sum(
        quantity_of(deal, cost.quantity).mean() * (years if cost.form == "a year" else 1)
        for cost in (
            signed.costs.set_up,
            signed.costs.delivery,
            signed.costs.management,
            signed.costs.evaluation,
        )
        if cost is not None
    )
    commitment = signed.finance.commitment.mean()
    recycled = signed.at_most.contract.mean() if path.stem == "fair_chance_fund" else 0
    assert 0.9 * commitment <= planned <= max(commitment, recycled)


@each_deal
def test_a_quick_run_is_sane(path):
    draws = 1_000
    result = simulate(load(path), draws=draws, seed=2)
    for name in result.structures:
        answers = result[name]
        assert 0.1 < answers.triggers["any payment"].probability <= 1
        assert answers.payments.mean <= answers.uncapped_payments.mean * (1 + 1e-9)
    assert result.warnings == []
    signed = result["as signed"].investor
    assert 0.05 < signed.probability_of_loss.probability < 0.75
    assert signed.peak_funding_need.p95 <= load(path).structures["as signed"].finance.commitment.mean() * (
        1 + 1e-9
    )


# ---------------------------------------------------------------------------------------------------
# Closed forms
# ---------------------------------------------------------------------------------------------------


def test_peterborough_pays_by_luck_alone_in_one_draw_in_twenty():
    """Three cohorts of 1,000 against 10,000 each: 4.8% of draws pay with no effect and no nuisance."""
    draws = 20_000
    deal = load(
        FOLDER / "peterborough.yaml",
        ["luck_only=true", "outcomes.reconvictions.effect=0", "outcomes.reconvictions.without_service=1.55"]
        + ["outcomes.reconvictions.dispersion=0.69"],
    )
    found = simulate(deal, draws=draws, seed=5, structures=["as signed"])["as signed"].triggers["any payment"]
    assert abs(found.probability - 0.048) < 4 * (0.048 * 0.952 / draws) ** 0.5


@pytest.mark.parametrize("chance", [0.25, 0.30])
def test_augsburg_pays_with_the_binomial_tail(chance):
    draws = 20_000
    deal = load(
        FOLDER / "augsburg.yaml",
        ["luck_only=true", 'outcomes."placed for nine months".effect=0']
        + [f'outcomes."placed for nine months".without_service={chance}'],
    )
    found = simulate(deal, draws=draws, seed=5, structures=["as signed"])["as signed"].triggers["any payment"]
    tail = binom.sf(19, 69, chance)
    assert abs(found.probability - tail) < 4 * (tail * (1 - tail) / draws) ** 0.5


def test_the_fair_chance_fund_draws_people_one_by_one():
    assert simulate(load(FOLDER / "fair_chance_fund.yaml"), draws=64, seed=1).engine == "people"


# ---------------------------------------------------------------------------------------------------
# Results
# ---------------------------------------------------------------------------------------------------


@each_results
def test_results_files_use_the_names_of_their_deal(path):
    deal, rows = load(deal_of(path)), rows_of(path)
    assert rows
    for row in rows:
        assert row["cohort"] in {"", *deal.cohorts}
        if "measure" in row:
            assert row["measure"] in deal.measures
        else:
            assert row["outcome"] in outcome_names(deal)
            assert row["arm"] in {"intervention", "comparison"}
        assert float(row["value"] or 0) >= 0
        assert row["value"] or row["size"] == "0"
    keys = [tuple(row[key] for key in row if key not in {"value", "size"}) for row in rows]
    assert len(keys) == len(set(keys))


@each_deal
def test_each_deal_has_results(path):
    assert any(deal_of(results) == path for results in RESULTS)


# Prices times counts before any cap, and outcomes whose counts are published.
FUND = {
    "ambition": (3_155_150, 21, 409),
    "depaul": (1_692_700, 19, 216),
    "home_group": (2_391_450, 21, 270),
    "local_solutions": (1_347_000, 21, 139),
}


@pytest.mark.parametrize("name", FUND)
def test_the_card_times_the_counts_is_the_published_sum(name):
    deal = load(FOLDER / "fair_chance_fund.yaml")
    card = {key: clause.amount.price.mean() for key, clause in deal.structures["as signed"].pays.items()}
    rows = rows_of(FOLDER / "results" / f"fair_chance_fund_{name}.csv")
    total, number, people = FUND[name]
    assert len(card) == 21
    assert len(rows) == number
    assert sum(card[row["outcome"]] * int(row["value"]) for row in rows) == total
    assert {row["size"] for row in rows} == {str(people)}


def test_peterborough_results_are_the_published_shares():
    ours, theirs = (float(row["value"]) for row in rows_of(FOLDER / "results" / "peterborough_cohort_1.csv"))
    assert round(1 - ours / theirs, 3) == 0.084
    pooled = [row for row in rows_of(FOLDER / "results" / "peterborough_final.csv") if not row["cohort"]]
    assert [float(row["value"]) for row in pooled] == [0.09]


def realised(deal: Deal, path: Path) -> dict[str, float]:
    """Observed level a person of each outcome, or the share of those who took the step before."""
    rows = [row for row in rows_of(path) if row.get("outcome") and row["arm"] == "intervention"]
    counts = {row["outcome"]: float(row["value"]) for row in rows}
    levels = {}
    for row in rows:
        _, step = outcome_of(deal, row["outcome"])
        of = float(row["size"])
        if step is not None and step.follows != "referral":
            of = counts[step.follows] - counts.get(step.instead_of or "", 0)
        levels[row["outcome"]] = counts[row["outcome"]] / of
    return levels


@each_results
def test_what_is_assumed_is_not_what_was_observed(path):
    deal = load(deal_of(path))
    for name, level in realised(deal, path).items():
        outcome, step = outcome_of(deal, name)
        if step is not None:
            assert abs(step.chance.mean() - level) > 5e-4, name
            continue
        effect = outcome.effect.mean()
        without = outcome.without_service.mean()
        with_service = without + effect if outcome.effect_as == "units" else without * (1 + effect)
        assert abs(with_service - level) > 5e-4, name
    for row in rows_of(path):
        if row.get("arm") == "comparison":
            outcome, _ = outcome_of(deal, row["outcome"])
            assert abs(outcome.without_service.mean() - float(row["value"]) / float(row["size"])) > 5e-4
        if row.get("measure") and row["value"]:
            outcome, _ = outcome_of(deal, measure_of(deal, row["measure"]).outcome)
            assert abs(abs(outcome.effect.mean()) - float(row["value"])) > 5e-4
