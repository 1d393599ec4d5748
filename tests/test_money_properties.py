"""What must hold for any deal: the order of tranches, caps, and better results. Each has a control that breaks it."""

import json
from typing import Any

import numpy as np
import pytest
from deals import CAPS, Player, deal_files, loaded
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from simulator import metrics
from simulator.deal import ACCOUNTS
from simulator.dealfile import loads
from simulator.observed import Observed, Row
from simulator.settle import settle
from simulator.waterfall import CALLED, REPAID
from simulator.yamlfile import dump

pytestmark = pytest.mark.usefixtures("kernels")

DRAWS = 3
SLOW = [HealthCheck.too_slow, HealthCheck.filter_too_much]


# ---------------------------------------------------------------------------------------------------------------
# Senior and junior
# ---------------------------------------------------------------------------------------------------------------


def stacked(data: dict[str, Any], senior: int, junior: int, coupon: Any, **terms: Any) -> dict[str, Any]:
    """The same deal, all of whose structures are financed by a senior and a junior class; `terms` are the senior's."""
    first = {"commitment": senior} | ({"coupon": coupon} if coupon else {}) | terms
    finance = {"tranches": {"senior": first, "junior": {"commitment": junior}}}
    structures = {name: {k: v for k, v in each.items() if k != "finance"} for name, each in data["structures"].items()}
    return data | {"finance": finance, "structures": structures}


def seniors(data: dict[str, Any]) -> list[tuple[float, float]]:
    """Share of its capital that the senior class got back and its rate of return, by draw and structure."""
    player = Player(loaded(data))
    found = []
    for draw in range(DRAWS):
        values, one, stop, capped = player.world(draw)
        for name in player.names:
            _, book, _ = player.ledger(name, values, one, stop, capped)
            called, repaid = book.capital[0, CALLED], book.capital[0, REPAID]
            flows = book.paper[0, : player.plan.calendar.periods + 1].copy()
            flows[np.abs(flows) <= 1e-12 * np.abs(flows).max(initial=0.0)] = 0.0
            rate, _ = metrics.irr(flows, player.plan.calendar.a_year)
            found.append((repaid / called if called > 0 else np.nan, rate))
    return found


@settings(max_examples=60, suppress_health_check=SLOW)
@given(
    deal_files(),
    st.sampled_from([200, 5000, 40_000, 300_000]),
    st.integers(1, 8),
    st.integers(1, 8),
    st.sampled_from([None, "5%", {"rate": "7%", "paid": "accrued"}]),
)
def test_senior_is_never_worse_off_when_junior_replaces_part_of_it(data, total, part, less, coupon):
    """At a fixed sum of commitments, called together: each pound of senior paper is paid before more junior paper."""
    senior = total * part // 9
    fewer = max(senior * less // 9, 1)
    for low, high in zip(
        seniors(stacked(data, senior, total - senior, coupon)),
        seniors(stacked(data, fewer, total - fewer, coupon)),
        strict=True,
    ):
        for before, after in zip(low, high, strict=True):
            assert np.isnan(before) == np.isnan(after)
            assert np.isnan(before) or after >= before - 1e-6 * max(1.0, abs(before))


CERTAIN = {
    "deal": "a control",
    "time": {"start": "2020-01", "step": "quarter", "horizon": "4 years"},
    "cohorts": {"all": {"people": 100, "referred": "2020-01 to 2020-12"}},
    "outcomes": {"job": {"without_service": "50%", "known_after": "12 months"}},
    "costs": {"delivery": "1000 a year"},
    "structures": {"card": {"rate_card": {"job": 12}}},
}


def test_a_senior_class_that_is_paid_last_is_worse_off():
    """The control: with the order turned round, what replaces the senior class is paid before it."""
    more, fewer = (seniors(stacked(CERTAIN, each, 1000 - each, None, order=9)) for each in (800, 100))
    assert any(after[0] < before[0] - 1e-3 for before, after in zip(more, fewer, strict=True))


# ---------------------------------------------------------------------------------------------------------------
# Caps
# ---------------------------------------------------------------------------------------------------------------


def without_rules_that_are_not_monotone(data: dict[str, Any]) -> dict[str, Any]:
    """No "otherwise", no minimum, nothing that is taken off, no money that runs out before the last referral."""

    def kept(structure: dict[str, Any]) -> dict[str, Any]:
        pays = {
            name: {key: each for key, each in clause.items() if key not in {"unless", "only_if", "at_least", "less"}}
            for name, clause in structure.get("pays", {}).items()
        }
        short = structure.get("control_comparison")
        more = {"pays": pays} if pays else {}
        if short:
            more["control_comparison"] = {key: each for key, each in short.items() if key != "pooled"}
        left_out = {"finance", "service_agreement", "breaks"}
        return {key: each for key, each in structure.items() if key not in left_out} | more | {"finance": "none"}

    structures = {name: kept(each) for name, each in data["structures"].items()}
    return data | {"structures": structures, "finance": "none"}


def payments(data: dict[str, Any]) -> np.ndarray:
    player = Player(loaded(data))
    found = []
    for draw in range(DRAWS):
        values, one, stop, capped = player.world(draw)
        found += [player.ledger(name, values, one, stop, capped)[0][0] for name in player.names]
    return np.array(found)


@st.composite
def _capped(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    """A deal, and the same with one more cap, or with a lower one."""
    data = without_rules_that_are_not_monotone(draw(deal_files()))
    # accounts and hurdles need finance
    assume(not any(account in json.dumps(data) for account in (*ACCOUNTS, "until")))
    name = draw(st.sampled_from(sorted(data["structures"])))
    structure = data["structures"][name]
    level = draw(st.sampled_from([each for each in CAPS if isinstance(each, int)]))
    where = draw(st.sampled_from(["contract", "year", *structure.get("pays", {})]))
    if where in {"contract", "year"}:
        caps = structure.get("at_most", {})
        assume(where not in caps)
        capped = structure | {"at_most": caps | {where: level}}
    else:
        clause = structure["pays"][where]
        assume("at_most" not in clause)
        capped = structure | {"pays": structure["pays"] | {where: clause | {"at_most": level}}}
    return data, data | {"structures": data["structures"] | {name: capped}}


@settings(max_examples=80, suppress_health_check=SLOW)
@given(_capped())
def test_a_cap_never_raises_a_payment(pair):
    free, capped = map(payments, pair)
    assert (capped <= free + 1e-9 * np.maximum(1.0, free)).all()


def test_beside_an_otherwise_a_cap_may_raise_a_payment():
    """The control: what a clause is paid less is paid by one that takes off what was paid before."""
    clauses = {
        "first": {"for": "each cohort", "amount": {"price": 10, "times": "job"}},
        "second": {"for": "all cohorts that ran", "amount": {"price": 30, "times": "job"}, "less": "first"},
    }
    lower = clauses | {"first": clauses["first"] | {"at_most": 100}}
    second = [
        settled(CERTAIN | {"structures": {"it": {"pays": each}}}, 50, None)["clauses"]["second"]["payments"]
        for each in (clauses, lower)
    ]
    assert second == pytest.approx([1000, 1400])


# ---------------------------------------------------------------------------------------------------------------
# Better results
# ---------------------------------------------------------------------------------------------------------------

FAMILIES: dict[str, Any] = {
    "deal": "families",
    "time": {"start": "2020-01", "step": "quarter", "horizon": "5 years", "financial_year_starts": "January"},
    "cohorts": {
        "first": {"people": 40, "referred": "2020-01 to 2020-12"},
        "second": {"people": 30, "referred": "2021-01 to 2021-12"},
    },
    "outcomes": {
        "job": {"without_service": "30%", "known_after": "3 months"},
        "kept": {"of_those": "job", "without_service": "50%", "known_after": "9 months"},
        "offences": {
            "counts": "events",
            "better": "fewer",
            "without_service": 2,
            "known_after": "6 months",
            "comparison_arm": {"people": "1 per person"},
        },
    },
    "measures": {
        "share": {"share_of": "job"},
        "share so far": {"share_of": "job", "over": "cohorts so far"},
        "fewer": {"reduction_in": "offences", "against": "comparison_arm", "as": "share"},
        "avoided": {"reduction_in": "offences", "against": "comparison_arm", "as": "units"},
        "blend": {"sum_of": {"share": "80%", "fewer": "20%"}},
        "saved": {"sum_of": {"job": 120, "avoided": 55}, "no_less_than": 0},
        "in steps": {"share_of": "job", "rounded": "down to 10%"},
    },
}
GOOD = ("share", "share so far", "fewer", "blend", "in steps")
COUNTED = ("job", "kept", "avoided", "saved", "participants")


@st.composite
def _contracts(draw: st.DrawFn) -> dict[str, Any]:
    """A contract in which more of what is good is never paid less: every family, caps, payers, rounding, delays."""

    def one(*options: Any) -> Any:
        return draw(st.sampled_from(options))

    pays: dict[str, Any] = {}
    for number in range(draw(st.integers(1, 4))):
        scope = one("each cohort", "all cohorts that ran", "each participant")
        if scope == "each participant":
            clause: dict[str, Any] = {"amount": {"price": one(10, 123.4), "times": one("job", "kept")}}
            clause |= {"at_most": one({"outcomes": 17}, 900)} if one(True, False) else {}
        else:
            rising = sorted(draw(st.lists(st.integers(0, 3000), min_size=3, max_size=3)))
            levels = sorted(draw(st.lists(st.integers(-5, 10), min_size=2, max_size=2, unique=True)))
            points = [[f"{10 * level}%", amount] for level, amount in zip(levels, rising[1:], strict=True)]
            table = {"below": rising[0], "points": points, "between": one("steps", "straight line")}
            amount = one(
                {"price": 40, "times": one(*COUNTED)},
                {"share": "40%", "times": "saved"},
                {"lump_sum": 2500},
                {"by": one(*GOOD), "table": table},
                {"by": one(*GOOD), "table": table, "times": one("job", "participants")},
                {"bands": [[0, 90], [10, 30], [25, 0]], "times": one("job", "avoided")},
            )
            clause = {"amount": amount}
            if one(True, False):
                clause[one("when", "any_of")] = {one(*GOOD): one("at least 10%", "more than 25%"), "job": "at least 7"}
            if one(True, False):
                clause["at_most"] = one(300, 1500)
            if one(True, False, False):
                clause["rounded"] = one("to 1", "down to 100")
        pays[f"clause {number}"] = {"for": scope} | clause
    structure: dict[str, Any] = {"pays": pays}
    if one(True, False):
        structure["at_most"] = {
            one("contract", "year"): one(800, 4000),
            "over_the_year": one("lost", "carried forward"),
        }
    if one(True, False, False):
        structure["payers"] = one(
            {"city": {"share": "60%", "at_most": 1000}, "fund": "the rest"},
            {"city": {"at_most": 700}, "fund": {"at_most": 2000}},
            {"city": {"share": "50%", "at_most_a_year": 400, "over_the_year": "carried forward"}, "fund": "50%"}
            | {"fund": {"share": "50%"}},
        )
    return FAMILIES | {"structures": {"it": structure}}


def settled(data: dict[str, Any], jobs: Any, offences: Any, kept: Any = 0) -> dict[str, Any]:
    """Settle counts by cohort: jobs, offences (of people and the same number in the arm) and kept jobs."""
    rows = []
    cohorts = list(data["cohorts"])
    for cohort, job, kept_, crimes in zip(
        cohorts,
        *(each if isinstance(each, tuple) else (each,) * len(cohorts) for each in (jobs, kept, offences)),
        strict=True,
    ):
        size = data["cohorts"][cohort]["people"]
        rows.append(Row(cohort=cohort, outcome="job", arm="intervention", value=job, size=size))
        if crimes is not None:
            rows.append(Row(cohort=cohort, outcome="kept", arm="intervention", value=kept_, size=size))
            rows.append(Row(cohort=cohort, outcome="offences", arm="intervention", value=crimes, size=size))
            rows.append(Row(cohort=cohort, outcome="offences", arm="comparison", value=60, size=30))
    return settle(loads(dump(data)), Observed(tuple(rows)))["structures"]["it"]


RESULTS = st.tuples(st.integers(0, 29), st.integers(0, 29))


@settings(max_examples=150, suppress_health_check=SLOW)
@given(_contracts(), RESULTS, RESULTS, RESULTS, st.sampled_from(["job", "kept", "offences"]), st.integers(0, 1))
def test_a_better_result_is_never_paid_less(data, jobs, kept, offences, what, where):
    kept = tuple(map(min, kept, jobs))
    before = settled(data, jobs, tuple(3 * each for each in offences), kept)["payments"]
    better = {"job": list(jobs), "kept": list(kept), "offences": [3 * each for each in offences]}
    better[what][where] += -1 if what == "offences" else 1
    assume(better["offences"][where] >= 0 and better["kept"][where] <= better["job"][where])
    after = settled(data, *(tuple(better[key]) for key in ("job", "offences", "kept")))["payments"]
    assert after >= before - 1e-9 * max(1.0, before)


def test_beside_an_otherwise_a_better_result_may_be_paid_less():
    """The control: the clause of one cohort that is just met takes away what all together would have been paid."""
    pays = {
        "alone": {"for": "each cohort", "when": {"job": "at least 10"}, "amount": {"price": 10, "times": "job"}},
        "together": {"for": "all cohorts that ran", "unless": "alone", "amount": {"price": 10, "times": "job"}},
    }
    data = FAMILIES | {"structures": {"it": {"pays": pays}}}
    worse, better = (settled(data, jobs, (50, 50))["payments"] for jobs in ((9, 9), (10, 9)))
    assert worse == 180 and better == 100
