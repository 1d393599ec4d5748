"""Deals for tests: strategies that make whole deal files, and small files to begin from."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from simulator import ledger as book_of
from simulator import parameters
from simulator.clauses import new_tally
from simulator.deal import Deal
from simulator.dealfile import loads
from simulator.outcomes import Outcomes
from simulator.plan import compile_plan
from simulator.run import NOTHING_PUBLISHED, Simulation, new_book_of
from simulator.yamlfile import DealError, dump

MONTHS_A_STEP = {"month": 1, "quarter": 3, "half year": 6, "year": 12}
MONTHS_OF_REFERRAL = 24
HORIZONS = (18, 27, 36, 60)
"""Months that are tried in turn, from one that is drawn, until all falls within."""

PEOPLE = (0, 1, 1, 2, 3, 7, 20, 60, 150)
SHARES = ("0%", "5%", "20%", "50%", "80%", "100%", "uniform(10%, 40%)", "beta(mean 30%, sd 10%)", "a chance")
LEVELS = (0.4, 1.5, "uniform(0.5, 2)", "gamma(mean 1.5, sd 0.4)")
EFFECTS = ("0%", "10%", "-20%", "-100%", "50%", "10% ± 20%", "uniform(-50%, 50%)")
MONEY = (0, 1, 70, 500, 1234.56, 10_000, "uniform(100, 2000)", "lognormal(mean 900, sd 300)", "some money")
CAPS = (0, 1, 250, 1500, 7000, 40_000, "uniform(500, 9000)", "some money")
COSTS = (0, 40, 900, 12_000, "uniform(500, 5000)", "triangular(100, 200, 4000)", "some money")
LAGS = (
    "0 months",
    "1 month",
    "2 months",
    "3 months",
    "5 months",
    "6 months",
    "9 months",
    "12 months",
    "5 weeks",
    "uniform(0 months, 7 months)",
    "some time",
)
COUNTS = (0, 1, 2, 5, 11, 40)
BOUNDS_OF_SHARES = ("0%", "10%", "25%", "50%", "-10%", "100%", "uniform(0%, 60%)")
SENSES = ("at least", "at most", "more than", "less than")
COST_FORMS = ("", " at the start", " a year", " per person", " at the end")
MONTH_NAMES = ("January", "April", "July", "October", "December")


class _Draw:
    """Short words for what is drawn most."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw

    def one(self, *options: Any) -> Any:
        return self.draw(st.sampled_from(options))

    def whole(self, low: int, high: int) -> int:
        return self.draw(st.integers(low, high))

    def maybe(self, chance: int = 2) -> bool:
        """True once in `chance` times; the simpler answer is no."""
        return self.whole(1, chance) == chance

    def some(self, options: Any, most: int) -> list[Any]:
        return self.draw(st.lists(st.sampled_from(list(options)), max_size=most, unique=True)) if options else []


def _month(index: int) -> str:
    year, month = divmod(index, 12)
    return f"{year:04d}-{month + 1:02d}"


def _cohort(d: _Draw, start: int, people: tuple[int, ...]) -> dict[str, Any]:
    first = start + d.whole(0, MONTHS_OF_REFERRAL // 2)
    last = first + d.whole(0, MONTHS_OF_REFERRAL // 2)
    cohort: dict[str, Any] = {"people": d.one(*people), "referred": f"{_month(first)} to {_month(last)}"}
    if d.maybe(3):
        cohort["referrals"] = d.one("80%", "0%", "120%", "uniform(50%, 130%)", "90% to 110%")
    if d.maybe(3):
        cohort["last_claim"] = _month(first + d.whole(0, 15))
    if d.maybe():
        cohort["if_cut_short"] = "does not run"
    if d.maybe(4):
        cohort["attrition"] = d.one("20%", "100%", "uniform(0%, 50%)")
    return cohort


def _evidence(d: _Draw) -> dict[str, Any]:
    return {"missing": d.one("0%", "10%", "100%", "a chance"), "mistaken": d.one("0%", "5%", "100%")}


MEASURED = {"amount": (3, 40, "uniform(2, 9)"), "score": (-3, 0, 5, "normal(mean 1, sd 4)")}


def _kind(d: _Draw, counts: str) -> dict[str, Any]:
    """What belongs to one kind of outcome."""
    outcome: dict[str, Any] = {} if counts == "yes or no" else {"counts": counts}
    if counts in MEASURED:
        outcome |= {"without_service": d.one(*MEASURED[counts]), "spread": d.one(0, 4, "uniform(1, 6)")}
        if counts == "amount" and d.maybe():
            outcome["any"] = d.one("40%", "uniform(20%, 90%)")
    else:
        outcome["without_service"] = d.one(*(LEVELS if counts == "events" else SHARES))
    if counts == "events" and d.maybe():
        outcome["dispersion"] = d.one(0.7, 5, "uniform(0.5, 2)")
    if d.maybe(3):
        outcome["before"] = {"level": outcome["without_service"]}
        if d.maybe():
            outcome["before"] |= {"normal_level": outcome["without_service"], "persistence": d.one("0%", "60%")}
    return outcome


def _moving(d: _Draw) -> dict[str, Any]:
    """What moves the level of an outcome."""
    options: dict[str, Any] = {
        "trend": d.one("-5% a year", "normal(mean 0%, sd 3%) a year", "10%"),
        "common_shock": d.one("20%", "0% ± 10%"),
        "between_cohorts": d.one("10%", "uniform(0%, 40%)"),
        "clusters": {"size": d.one(1, 7), "icc": d.one("0%", "10%", "100%"), "explained": "20%"},
        "learning": d.one("-50%", "20%"),
        "delay": d.one(*LAGS),
    }
    return {key: options[key] for key in d.some(options, 3)}


def _single(d: _Draw, above: tuple[str, ...] = ()) -> dict[str, Any]:
    """A single outcome; `above` are those whose people alone may have it."""
    counts = d.one("yes or no", "yes or no", "events", "events", "amount", "score")
    events = counts != "yes or no"
    outcome = _kind(d, counts)
    if counts == "score":
        outcome |= {"effect_as": "units", "effect": d.one(0, 2, "normal(mean 1, sd 2)")}
    else:
        outcome["effect"] = d.one(*EFFECTS)
        if d.maybe(3):
            outcome |= {"effect_as": "units", "effect": d.one("10%", "-20%", "uniform(-10%, 30%)")}
    if d.maybe(4):
        outcome |= _moving(d)
    if above and "before" not in outcome and d.maybe(3):
        outcome["of_those"] = d.one(*above)
    if d.maybe():
        outcome["better"] = "fewer"
    if d.maybe():
        outcome["known_after"] = d.one(*LAGS)
    if d.maybe():
        outcome["baseline"] = d.one(*((0.8, 2) if events else ("0%", "30%", "uniform(20%, 40%)")))
        if d.maybe(3):
            outcome["baseline_resets"] = {"every": d.one("3 months", "1 year"), "share": d.one("0%", "50%", "100%")}
    if "of_those" not in outcome and d.maybe():
        outcome["comparison_arm"] = {"people": d.one("3 people", 0, "2 per person", "uniform(5, 50) people")}
        if d.maybe():
            outcome["comparison_arm"] |= {"effective_share": "uniform(50%, 90%)", "shared_bias": "0% ± 10%"}
    if counts in {"yes or no", "events"} and d.maybe(3):
        outcome["evidence"] = _evidence(d)
    if counts == "amount" and d.maybe(3):
        outcome["evidence"] = {"missing": d.one("10%", "100%", "a chance")}
    return outcome


def _chain(d: _Draw, name: str) -> dict[str, Any]:
    steps: dict[str, Any] = {}
    follows: dict[str, str] = {}
    for i in range(d.whole(1, 4)):
        step: dict[str, Any] = {
            "chance": d.one(*SHARES),
            "after": d.one("0 months", "2 months", "5 months", "some time"),
        }
        before = [*steps]
        parent = d.one("referral", *before) if d.maybe() else (before[-1] if before else "referral")
        if parent != (before[-1] if before else "referral") or d.maybe():
            step["follows"] = parent
        siblings = [each for each in before if follows[each] == parent]
        if siblings and d.maybe():
            step["instead_of"] = d.one(*siblings)
        if d.maybe(4):
            step["evidence"] = _evidence(d)
        steps[f"{name} step {i + 1}"] = step
        follows[f"{name} step {i + 1}"] = parent
    outcome: dict[str, Any] = {"steps": steps}
    if d.maybe():
        outcome["without_service"] = {"first_step": d.one(*SHARES)}
    if d.maybe(3):
        outcome["evidence"] = _evidence(d)
    if d.maybe(4):
        outcome["better"] = "fewer"
    return outcome


def _measures(d: _Draw, outcomes: dict[str, Any], names: list[str]) -> dict[str, Any]:
    measures: dict[str, Any] = {}
    for i in range(d.whole(0, 3)):
        outcome = d.one(*names)
        single = outcomes.get(outcome, {})
        kind = d.one("reduction_in", "increase_in", "share_of", "count_of", "mean_of")
        if kind == "share_of" and single.get("counts", "yes or no") != "yes or no":
            kind = "reduction_in"
        measure: dict[str, Any] = {kind: outcome}
        if kind in {"reduction_in", "increase_in"}:
            against: list[Any] = [0.3, "uniform(0.1, 0.6)", 0]
            if "comparison_arm" in single:
                against += ["comparison_arm"] * 4
            if "baseline" in single:
                against += ["baseline"] * 2
            if "before" in single:
                against += ["before"] * 4
            measure |= {"against": d.one(*against), "as": d.one("share", "units", "per person")}
        measures[f"measure {i + 1}"] = measure | _shape(d)
    for i in range(d.whole(0, 3) if d.maybe() else 0):
        measures[f"composed {i + 1}"] = _composed(d, names, measures, outcomes) | _shape(d)
    return measures


def _shape(d: _Draw) -> dict[str, Any]:
    """Limits, rounding and the cohorts that a measure is over."""
    shape: dict[str, Any] = {}
    if d.maybe(4):
        shape["over"] = "cohorts so far"
    if d.maybe(6):
        shape["divided_by"] = d.one(4, 0.5, "uniform(1, 20)")
    if d.maybe(5):
        shape["no_less_than"] = d.one("0%", "-10%", 2, "uniform(0%, 20%)")
    if d.maybe(5):
        shape["no_more_than"] = d.one("30%", 3, 40, "uniform(25%, 60%)")
    if "no_less_than" in shape and "no_more_than" in shape:
        shape["no_less_than"] = "0%"
    if d.maybe(4):
        shape["rounded"] = d.one("to 1%", "down to 1%", "up to 5%", "to 1", "down to 2", "up to 0.5")
    return shape


def _composed(d: _Draw, names: list[str], measures: dict[str, Any], outcomes: dict[str, Any]) -> dict[str, Any]:
    readable = [*names, *measures, "participants"]
    compared = [
        name
        for name, each in measures.items()
        if ("reduction_in" in each or "increase_in" in each)
        and "over" not in each
        and each["against"] != "before"
        and outcomes.get(each.get("reduction_in") or each["increase_in"], {}).get("counts") not in {"amount", "score"}
    ]
    kind = d.one("ratio_of", "sum_of", "choice_of", *(["p_value_of"] if compared else []))
    if kind == "p_value_of":
        return {kind: d.one(*compared)}
    if kind == "sum_of":
        parts = d.some(readable, 3) or ["participants"]
        return {kind: {name: d.one(1, -1, "80%", 46, "uniform(0.5, 2)") for name in parts}}
    measure: dict[str, Any] = {kind: [d.one(*readable), d.one(*readable)]}
    if kind == "choice_of" and d.maybe():
        condition = d.one(*readable)
        measure["when"] = {condition: _bound(d, condition, measures)}
    return measure


def _is_share(name: str, measures: dict[str, Any]) -> bool:
    measure = measures.get(name, {})
    return "share_of" in measure or "ratio_of" in measure or "p_value_of" in measure or measure.get("as") == "share"


def _bound(d: _Draw, name: str, measures: dict[str, Any]) -> str:
    options = BOUNDS_OF_SHARES if _is_share(name, measures) else (*COUNTS, -1, "uniform(0, 20)")
    return f"{d.one(*SENSES)} {d.one(*options)}"


def _clause_cap(d: _Draw, *, counted: bool) -> Any:
    if not counted or d.maybe():
        return d.one(*CAPS)
    cap: dict[str, Any] = {"outcomes": d.one(*COUNTS, 2.5, "uniform(0, 30)")}
    return cap | ({"payments": d.one(*CAPS)} if d.maybe() else {})


def _countable(outcomes: dict[str, Any], names: list[str]) -> list[str]:
    """Outcomes that a person may be paid for: no scores."""
    return [name for name in names if outcomes.get(name, {}).get("counts") != "score"]


def _clause(
    d: _Draw, outcomes: dict[str, Any], names: list[str], measures: dict[str, Any], above: list[str], own: str
) -> dict[str, Any]:
    countable = _countable(outcomes, names)
    scopes = ["each participant"] if countable else []
    scope = d.one(*scopes, "each cohort", "all cohorts that ran", "the contract")
    clause: dict[str, Any] = {"for": scope}
    counted = False
    if scope == "each participant":
        clause["amount"], counted = {"price": d.one(*MONEY), "times": d.one(*countable)}, True
    elif scope == "the contract":
        clause |= {"due": d.one("evenly", "at the start", "at the end"), "amount": {"lump_sum": d.one(*MONEY)}}
    else:
        readable = [*names, *measures, "participants"]
        for key, most in (("when", 2), ("any_of", 2 if d.maybe(3) else 0)):
            conditions = d.some(readable, most)
            if conditions:
                clause[key] = {name: _bound(d, name, measures) for name in conditions}
        if above and d.maybe():
            clause["unless"] = d.some(above, 2)
        if above and d.maybe(3):
            clause["only_if"] = d.some(above, 2)
        if d.maybe(5):
            clause["at_least"] = d.one(*MONEY)
        if d.maybe(5):
            clause["rounded"] = d.one("to 1", "down to 1000", "up to 0.5", "to 250")
        if d.maybe(4):
            clause["less"] = d.some([*above, own], 2)
        times = d.one(*readable)
        counted = times in names or times == "participants" or "count_of" in measures[times]
        form = d.one("price", "lump", "table", "bands", "share")
        amount: dict[str, Any] = {}
        if form in {"price", "share"}:
            amount = {form: d.one(*MONEY) if form == "price" else d.one("0%", "40%", "a chance"), "times": times}
        elif form == "bands":
            table = _table(d, share=_is_share(times, measures))
            rates = [(level, d.one(0, 7, 300, "95%", "uniform(10, 90)")) for level, _ in table["points"]]
            amount = {"bands": [list(each) for each in rates], "times": times}
        elif form == "lump":
            amount["lump_sum"] = d.one(*MONEY)
        else:
            amount = {"by": d.one(*readable)}
            amount["table"] = _table(d, share=_is_share(amount["by"], measures))
        if form in {"lump", "table"} and d.maybe(3):
            amount["times"] = times
        counted = counted and "times" in amount
        if form != "lump" and "times" in amount and d.maybe(4):
            amount["per"] = d.one("1%", 10, "uniform(0.5, 3)")
        clause["amount"] = amount
    if scope in {"each participant", "the contract"} and above and d.maybe(4):
        clause[d.one("unless", "only_if")] = d.some(above, 2)
    if d.maybe(3):
        clause["at_most"] = _clause_cap(d, counted=counted)
    if d.maybe(4):
        clause["indexed"] = {
            "a_year": d.one("2.5%", "-3%", "uniform(0%, 5%)"),
            "from": _month(2018 * 12 + d.whole(0, 40)),
        }
    return clause


def _table(d: _Draw, *, share: bool) -> dict[str, Any]:
    levels = d.draw(st.lists(st.integers(-2, 8), min_size=1, max_size=4, unique=True).map(sorted))
    table: dict[str, Any] = {
        "below": d.one(*MONEY),
        "points": [[_level(d, level, share=share), d.one(*MONEY)] for level in levels],
    }
    if d.maybe():
        table["between"] = "straight line"
    if d.maybe(3):
        table["above"] = d.one(*MONEY)
    return table


def _level(d: _Draw, level: int, *, share: bool) -> Any:
    """A level of a table; uncertain ones of neighbouring rows may cross."""
    if d.maybe(4):
        return (
            f"uniform({10 * level - 15}%, {10 * level + 15}%)"
            if share
            else f"uniform({2 * level - 3}, {2 * level + 3})"
        )
    return f"{level * 10}%" if share else level * 2


def _costs(d: _Draw) -> dict[str, Any]:
    kinds = [kind for kind in ("set_up", "delivery", "management", "evaluation") if d.maybe()]
    costs = {kind: f"{d.one(*COSTS)}{d.one(*COST_FORMS)}" for kind in kinds}
    return costs | ({"overrun": d.one("20%", "-10%", "uniform(0%, 40%)")} if d.maybe(4) else {})


ACCOUNTS = (
    "capital called",
    "capital outstanding",
    "paid to investors",
    "cash in hand",
    "payments so far",
    "costs so far",
    "years so far",
)


def _account(d: _Draw, *, financed: bool) -> str:
    return d.one(*ACCOUNTS) if financed else d.one(*ACCOUNTS[4:])


def _level_of_account(d: _Draw) -> Any:
    return d.one(0, 1, 2, 300, 4000, "uniform(0, 2000)")


def _compensation(d: _Draw, breaks: list[str], *, financed: bool) -> dict[str, Any]:
    clause: dict[str, Any] = {"for": "the contract", "due": "at an early end"}
    form = d.one("lump", "share", "price", "table")
    if form == "lump":
        clause["amount"] = {"lump_sum": d.one(*MONEY)}
    elif form == "table":
        levels = sorted(d.draw(st.lists(st.integers(0, 5), min_size=1, max_size=3, unique=True)))
        table = {"below": d.one(*MONEY), "points": [[level, d.one(*MONEY)] for level in levels]}
        clause["amount"] = {"by": _account(d, financed=financed), "table": table}
    else:
        amount = {form: d.one("0%", "80%", "a chance") if form == "share" else d.one(1, 0.5, "some money")}
        clause["amount"] = amount | {"times": _account(d, financed=financed)}
    if d.maybe(3):
        clause["ended_by"] = d.some(["policy change", *breaks], 3) or ["policy change"]
    if d.maybe(4):
        clause["at_most"] = d.one(*CAPS)
    return clause


def _break(
    d: _Draw, months: range, measures: dict[str, Any], names: list[str], pays: list[str], *, financed: bool
) -> dict[str, Any]:
    terms: dict[str, Any] = {"review": _month(months[d.whole(0, len(months) - 1)])}
    if pays and d.maybe():
        terms["unless"] = d.some(pays, 2)
    when = {}
    if d.maybe():
        for measure in d.some([*names, *measures, "participants"], 2):
            when[measure] = _bound(d, measure, measures)
    if d.maybe() or not (when or terms.get("unless")):
        sense = d.one("at least", "less than", "at most", "more than")
        when[_account(d, financed=financed)] = f"{sense} {_level_of_account(d)}"
    if when:
        terms["when"] = when
    if d.maybe(3):
        terms["notice"] = d.one(*LAGS)
    return terms


def _index(month: str) -> int:
    return int(month[:4]) * 12 + int(month[5:7]) - 1


def _before_service_ends(data: dict[str, Any], start: int) -> range:
    """Months of the periods before the last of service."""
    step, time = MONTHS_A_STEP[data["time"]["step"]], data["time"]
    last = max(_index(each.get("last_claim", each["referred"][-7:])) for each in data["cohorts"].values())
    if "service" in time:
        last = _index(time["service"][-7:])
    last = min(last, start + int(time["horizon"].split()[0]) - 1)
    return range(start, start + (last - start) // step * step)


def _ending(
    d: _Draw,
    months: range,
    names: list[str],
    measures: dict[str, Any],
    structure: dict[str, Any],
    finance: Any,
) -> None:
    """Give a structure terms for an early end, for what the provider is paid, and for accounts."""
    financed = finance != "none"
    pays = structure.setdefault("pays", {})
    clauses = [*pays]
    if months and d.maybe():
        structure["breaks"] = {
            f"review {i + 1}": _break(d, months, measures, names, clauses, financed=financed)
            for i in range(d.whole(1, 2))
        }
    if d.maybe():
        structure["after_an_early_end"] = d.one("claims end", "claims run off")
    if d.maybe():
        pays["compensation"] = _compensation(d, [*structure.get("breaks", ())], financed=financed)
    for clause in pays.values():
        amount = clause["amount"]
        of_groups = clause["for"] in {"each cohort", "all cohorts that ran"} and not {"less", "at_least"} & {*clause}
        if financed and of_groups and ("price" in amount or "share" in amount) and d.maybe():
            who = d.one("investors", *(finance.get("tranches") or {}))
            amount["until"] = {who: d.one("5% a year", "1 times", "uniform(3%, 9%) a year", "0.2 times")}
            amount["then"] = d.one("0%", "40%", "95%") if "share" in amount else d.one(*MONEY)
        if of_groups and d.maybe(4):
            sense = d.one("at least", "less than")
            condition = {_account(d, financed=financed): f"{sense} {_level_of_account(d)}"}
            clause["when"] = clause.get("when", {}) | condition
    if financed and d.maybe():
        structure["service_agreement"] = _service_agreement(d, structure)


def _service_agreement(d: _Draw, structure: dict[str, Any]) -> dict[str, Any]:
    agreed: dict[str, Any] = {}
    if d.maybe():
        agreed["fees"] = {f"fee {i + 1}": f"{d.one(*COSTS)}{d.one(*COST_FORMS)}" for i in range(d.whole(1, 2))}
    elif d.maybe():
        agreed["cost_plus"] = d.one("0%", "8%", "-5%", "uniform(0%, 20%)")
        structure["costs"] = {"delivery": f"{d.one(*COSTS)}{d.one(*COST_FORMS)}"} | structure.get("costs", {})
    if not agreed or d.maybe():
        agreed["share_of_payments"] = d.one("0%", "30%", "100%", "a chance")
    return agreed


RATES = ("0%", "5%", "12%", "uniform(2%, 9%)", "3% ± 1%")
TRANCHES = ("senior", "middle", "junior")


def _rising(d: _Draw, values: tuple[Any, ...]) -> dict[str, Any]:
    """A table by a measure or by years."""
    scale = d.one(0.1, 1, 20)
    levels = sorted(d.draw(st.lists(st.integers(-1, 6), min_size=1, max_size=3, unique=True)))
    table: dict[str, Any] = {
        "below": d.one(*values),
        "points": [[round(scale * level, 3), d.one(*values)] for level in levels],
    }
    if d.maybe():
        table["between"] = "straight line"
    if d.maybe(3):
        table["above"] = d.one(*values)
    return table


def _coupon(d: _Draw, readable: list[str], *, dated: bool) -> Any:
    if d.maybe(4):
        return d.one(*RATES)
    coupon: dict[str, Any] = {"rate": d.one(*RATES)}
    if d.maybe():
        coupon = {"by": d.one(*readable), "table": _rising(d, RATES)}
    coupon["paid"] = d.one("in cash", "accrued", *(["at maturity"] if dated else []))
    if d.maybe(3):
        coupon["at_least"] = d.one("4%", {"rate": "6%", "in": d.one("years 1 to 2", "year 3")})
    if d.maybe(3):
        coupon["at_most"] = d.one("7%", "uniform(5%, 10%)")
    return coupon


def _tranche(d: _Draw, start: int, readable: list[str]) -> dict[str, Any]:
    tranche: dict[str, Any] = {"commitment": d.one(5, 800, 9000, 60_000, "uniform(500, 20000)")}
    dated = d.maybe()
    if dated:
        tranche["matures"] = _month(start + d.whole(1, min(HORIZONS) - 1))
        if d.maybe():
            tranche["principal"] = {"by": d.one(*readable), "table": _rising(d, ("0%", "40%", "100%", "a chance"))}
        if d.maybe():
            tranche["redeemed_early"] = _rising(d, ("0%", "75%", "100%"))
    if d.maybe():
        tranche["coupon"] = _coupon(d, readable, dated=dated)
    if dated and d.maybe():
        tranche["backed_by"] = "provider"
    if d.maybe(3):
        tranche["order"] = d.whole(1, 3)
    return tranche


def _residual(d: _Draw, names: list[str]) -> list[dict[str, Any]]:
    stages: list[dict[str, Any]] = []
    for _ in range(d.whole(0, 2)):
        who = d.one("investors", *names)
        stages.append({"until": {who: d.one("5% a year", "1.2 times", "uniform(3%, 9%) a year")}})
        stages[-1]["to"] = d.one({who: "95%", "provider": "5%"}, {who: "100%"}, {"investors": "60%", "provider": "40%"})
    return [*stages, {"to": d.one({"investors": "40%", "provider": "60%"}, {"provider": "100%"}, {names[0]: "100%"})}]


def _guarantee(d: _Draw, start: int, names: list[str]) -> dict[str, Any]:
    guarantee: dict[str, Any] = {"guarantor": "a foundation"}
    guarantee |= d.one(
        {"recovery": "75%"},
        {"share_of_loss": "a chance"},
        {"amount": "some money"},
        {"by_capital_called": {"below": 0, "points": [[100, 60], [5000, 3000]], "between": "straight line"}},
    )
    if d.maybe():
        guarantee["of"] = d.one(*names)
    if d.maybe():
        guarantee["due"] = _month(start + d.whole(3, min(HORIZONS) - 1))
    if d.maybe():
        guarantee["fee"] = f"{d.one(*COSTS)}{d.one(*COST_FORMS)}"
    if d.maybe():
        guarantee["repaid"] = True
    return guarantee


def _fund(d: _Draw, names: list[str]) -> dict[str, Any]:
    """A fund that holds the paper."""
    fund: dict[str, Any] = {"set_up": d.one(*COSTS)}
    if d.maybe():
        fund["of"] = d.one("investors", *names)
    if d.maybe():
        fund["fees"] = {"management": d.one("2%", "0%", "uniform(1%, 9%)")}
        if d.maybe():
            fund["fees"] |= {"management": {"share": "3%", "in": d.one("years 1 to 2", "year 2", "years 2 to 40")}}
        if d.maybe():
            fund["fees"]["other"] = {"share": d.one("1%", "a chance"), "of": "capital outstanding"}
    if d.maybe():
        fund["carry"] = {"share": d.one("20%", "a chance"), "above": d.one("0%", "6%", "uniform(0%, 12%)", "-5%")}
        if d.maybe():
            fund["carry"]["catch_up"] = d.one("100%", "75%", "uniform(30%, 90%)")
    return fund


def _finance(d: _Draw, start: int, readable: list[str]) -> dict[str, Any]:
    finance: dict[str, Any] = {}
    names = ["investors"]
    if d.maybe():
        names = list(TRANCHES[: d.whole(1, 3)])
        finance["tranches"] = {name: _tranche(d, start, readable) for name in names}
        if d.maybe():
            finance["drawn"] = "in turn"
    else:
        finance["commitment"] = d.one(5, 800, 9000, 60_000, 400_000, "uniform(500, 20000)")
    if d.maybe(3):
        finance["called"] = d.one("at the start", "1 quarter ahead", "1 year ahead", "uniform(1 month, 8 months) ahead")
    if d.maybe():
        finance["recycled"] = False
    if d.maybe():
        finance["when_money_runs_out"] = d.one(
            "stop referrals", "wind up", "defer fees", ["defer fees", "provider advance", "stop referrals"]
        )
    if d.maybe(3):
        finance["residual"] = _residual(d, names)
    elif d.maybe():
        finance["surplus_to_investors"] = d.one("0%", "60%", "a chance")
    if d.maybe(4):
        finance["reserve"] = d.one(*CAPS)
    if d.maybe(4):
        finance["grants"] = {"a giver": f"{d.one(*COSTS)}{d.one(*COST_FORMS)}"}
    if d.maybe(4):
        finance["deferred"] = {kind: d.one("20%", "100%", "a chance") for kind in d.some(("delivery", "management"), 2)}
    if d.maybe(4):
        finance["guarantee"] = _guarantee(d, start, names)
        if d.maybe():
            others = [_guarantee(d, start, names) for _ in range(d.whole(1, 2))]
            due = finance["guarantee"].get("due") if d.maybe() else None
            others = [each | ({"due": due} if due else {}) for each in others]
            others[0]["guarantor"] = "another"
            finance["guarantee"] = [finance["guarantee"], *others]
    if d.maybe(3):
        finance["fund"] = _fund(d, names)
    return finance


def _short_forms(d: _Draw, outcomes: dict[str, Any], names: list[str], measures: dict[str, Any]) -> dict[str, Any]:
    structure: dict[str, Any] = {}
    if d.maybe():
        rows = d.some([*_countable(outcomes, names), *measures], 3)
        structure["rate_card"] = {
            name: {"price": d.one(*MONEY), "at_most": d.one(*CAPS)} if d.maybe(3) else d.one(*MONEY) for name in rows
        }
    if d.maybe(3):
        name = d.one(*names)
        sizes = ["1 people", "5 people", 12]
        if outcomes.get(name, {}).get("counts", "yes or no") == "yes or no":
            sizes.append("30%")
        size = d.one(*sizes)
        structure["group_threshold"] = {"outcome": name, "at_least": size, "pays": d.one(*MONEY)}
        if d.maybe():
            structure["group_threshold"]["for"] = "each cohort"
    singles = [name for name, each in outcomes.items() if "steps" not in each]
    if singles and d.maybe(3):
        name = d.one(*singles)
        short: dict[str, Any] = {"outcome": name, "each_cohort": f"at least {d.one(*BOUNDS_OF_SHARES)}"}
        against = [key for key in ("comparison_arm", "baseline") if key in outcomes[name]]
        short["against"] = d.one(*against, 0.3)
        if d.maybe():
            short["pooled"] = f"{d.one(*SENSES)} {d.one(*BOUNDS_OF_SHARES)}"
        structure["control_comparison"] = short | {d.one("price", "pays"): d.one(*MONEY)}
    if d.maybe(3) or not any(structure.values()):
        structure |= {"fee": d.one(*MONEY), "paid": d.one("evenly", "at the start", "at the end")}
        if d.maybe(3):
            above = d.one(*COUNTS, "uniform(0, 40)")
            structure["each_person"] = {"price": d.one(*MONEY), "above": above} if d.maybe() else d.one(*MONEY)
    return structure


def _structure(
    d: _Draw, start: int, outcomes: dict[str, Any], names: list[str], measures: dict[str, Any], *, per_person: bool
) -> dict[str, Any]:
    structure: dict[str, Any] = {}
    if d.maybe(3):
        structure = _short_forms(d, outcomes, names, measures)
    else:
        clauses: dict[str, Any] = {}
        for i in range(d.whole(1, 4)):
            own = f"clause {i + 1}"
            clauses[own] = _clause(d, outcomes, names, measures, list(clauses), own)
        structure["pays"] = clauses
    caps = {key: d.one(*CAPS) for key in d.some(("year", "contract"), 2)}
    if per_person:
        caps["per_person"] = d.one(*CAPS)
    if "year" in caps and d.maybe():
        caps["over_the_year"] = "carried forward"
    if caps:
        structure["at_most"] = caps
    if d.maybe(3):
        structure["payers"] = _payers(d, list(structure.get("pays", ())))
    if d.maybe(3):
        structure["paid_after"] = d.one(*LAGS)
    for key in ("costs", "payer_costs"):
        if d.maybe():
            structure[key] = _costs(d)
    if d.maybe():
        structure["finance"] = _finance(d, start, [*names, *measures]) if d.maybe() else "none"
    return structure


def _payers(d: _Draw, clauses: list[str]) -> dict[str, Any]:
    """Payers by layer, clause and phase; one without limit pays the rest, or nobody does."""
    payers: dict[str, Any] = {}
    if d.maybe():
        payers["the city"] = {"share": d.one("60%", "0%", "25%"), "at_most": d.one(*CAPS)} | _of_a_year(d)
    if d.maybe():
        payers["early"] = {"until": _month(2019 * 12 + d.whole(0, 60)), "at_most": d.one(*CAPS)}
    if d.maybe():
        payers["late"] = {"share": "40%", "from": _month(2019 * 12 + d.whole(0, 60))}
    if clauses and d.maybe():
        payers["vehicle"] = {"of": [d.one(*clauses)], "at_most": d.one(*CAPS)} | _of_a_year(d)
    return payers | {"fund": d.one("the rest", {"at_most": d.one(*CAPS)}, {"at_most": d.one(*CAPS)} | _of_a_year(d))}


def _of_a_year(d: _Draw) -> dict[str, Any]:
    """A payer's limit of a financial year."""
    if not d.maybe():
        return {}
    return {"at_most_a_year": d.one(*CAPS)} | ({"over_the_year": "carried forward"} if d.maybe() else {})


@st.composite
def deal_files(draw: st.DrawFn, engine: str | None = None, people: tuple[int, ...] = PEOPLE) -> dict[str, Any]:
    """Draw a whole deal file, as plain data without its horizon (see `loaded`).

    Parameters
    ----------
    engine
        The engine, if it must be one of them.
    people
        Sizes of cohorts.
    """
    d = _Draw(draw)
    engine = engine or d.one("by the rules", "aggregate", "people")
    start = 2019 * 12 + d.whole(0, 11)
    time: dict[str, Any] = {
        "start": _month(start),
        "step": d.one("quarter", "year", "half year", "month"),
        "horizon": f"{d.one(*HORIZONS)} months",
        "financial_year_starts": d.one(*MONTH_NAMES),
    }
    if d.maybe(3):
        first = start + d.whole(0, 12)
        time["service"] = f"{_month(first)} to {_month(first + d.whole(0, 24))}"
    cohorts = {f"cohort {i + 1}": _cohort(d, start, people) for i in range(d.whole(1, 4))}
    outcomes: dict[str, Any] = {}
    names: list[str] = []
    for i in range(d.whole(1, 3)):
        name = f"outcome {i + 1}"
        above = [each for each in names if outcomes.get(each, {}).get("counts", "yes or no") == "yes or no"]
        outcomes[name] = _chain(d, name) if d.maybe(3) else _single(d, tuple(above))
        names += outcomes[name].get("steps", [name])
    measures = _measures(d, outcomes, names)
    data: dict[str, Any] = {"deal": "a deal", "time": time, "engine": engine, "cohorts": cohorts, "outcomes": outcomes}
    if measures:
        data["measures"] = measures
    if d.maybe(3):
        data["frailty_correlation"] = d.one("30%", "uniform(10%, 60%)")
    if d.maybe(4):
        data["segments"] = {
            "some": {"share": d.one("30%", "uniform(10%, 60%)"), "levels": {d.one(*outcomes): d.one(0, 0.5, 2)}},
            "the rest": {"effects": {d.one(*outcomes): d.one(0, "50%")}},
        }
    if d.maybe(3):
        data["payers"] = {"a payer": "60%", "investors": "40%"}
    if not d.maybe(4):
        data["costs"] = _costs(d)
    if d.maybe():
        data["payer_costs"] = _costs(d)
    if not d.maybe(3):
        data["finance"] = _finance(d, start, [*names, *measures])
    if d.maybe(3):
        data["rates"] = {"investor": "8% real", "payer": "uniform(1%, 5%)", "inflation": "2% ± 1%"}
        if d.maybe():
            data["rates"]["cost_inflation"] = d.one("3%", "-2%", "uniform(0%, 6%)")
        if d.maybe():
            data["rates"]["deflator"] = "an index"
            time["prices"] = "real"
    if d.maybe(3):
        data["ends_early"] = {"policy_change": {"chance_a_year": d.one("30%", "0%", "100%", "a chance")}}
    caps = engine != "aggregate"
    data["structures"] = {
        f"structure {i + 1}": _structure(d, start, outcomes, names, measures, per_person=caps and d.maybe(3))
        for i in range(d.whole(1, 2))
    }
    for structure in data["structures"].values():
        for clause in structure.get("pays", {}).values():
            by_people = clause["for"] == "each participant" and "per_person" not in structure.get("at_most", {})
            if (by_people or clause["for"] == "each cohort") and d.maybe(4):
                clause["cohorts"] = d.some(cohorts, 2)
            if "prices" in time:
                clause.pop("indexed", None)
        if d.maybe():
            months = _before_service_ends(data, start)
            _ending(d, months, names, measures, structure, structure.get("finance", data.get("finance", "none")))
    if d.maybe(4):
        data["provider_failure"] = {
            "after": d.one("gamma(mean 2 years, sd 2 years)", "4 months", "uniform(0 months, 15 months)"),
            "gap": d.one("0 months", "3 months", "uniform(1 month, 9 months)"),
            "cost": d.one(*COSTS),
        }
    if d.maybe(12) and not any("breaks" in each for each in data["structures"].values()):
        data["luck_only"] = True  # which leaves out the last claim, and with it time of service for reviews
    return data


_QUANTITIES = {
    "a chance": "uniform(0%, 60%)",
    "some money": "uniform(50, 3000)",
    "some time": "uniform(0 months, 6 months)",
}


def _words(data: Any) -> str:
    if isinstance(data, dict):
        return "\n".join(_words(each) for each in data.values())
    return "\n".join(_words(each) for each in data) if isinstance(data, list) else str(data)


def text_of(data: dict[str, Any]) -> str:
    """Return a deal file; the quantities that it names are defined."""
    words = _words(data)
    quantities = {name: text for name, text in _QUANTITIES.items() if name in words}
    return dump(data | ({"quantities": quantities} if quantities else {}))


def loaded(data: dict[str, Any]) -> Deal:
    """Load a deal file that was drawn, with the next longer horizon where its own is too short."""
    own = int(data["time"]["horizon"].split()[0])
    for months in (each for each in HORIZONS if each >= own):
        try:
            return loads(text_of(data | {"time": data["time"] | {"horizon": f"{months} months"}}))
        except DealError as error:
            if months == HORIZONS[-1] or not any(word in str(error) for word in ("horizon", "service")):
                raise
    raise AssertionError("no horizon was tried")


def deals(engine: str | None = None, people: tuple[int, ...] = PEOPLE) -> st.SearchStrategy[Deal]:
    """Draw whole deals: loaded, resolved and checked."""
    return deal_files(engine, people).map(loaded)


class Player:
    """The kernels, one draw and one structure at a time, with their books open."""

    def __init__(self, deal: Deal, seed: int = 1) -> None:
        self.deal = deal
        self.plan = compile_plan(deal)
        self.names = list(deal.structures)
        self.shared = Simulation(self.plan, seed, self.names)

    def world(self, draw: int) -> tuple[Any, Outcomes, int, Any]:
        """Value row, outcomes, last period of service and money after the cap per person, of one draw."""
        values, _ = parameters.values(self.plan, self.shared.value_keys, draw, 1)
        out, stops, _, capped = self.shared.outcomes(draw, values)
        one = Outcomes(out.people[0], out.when[0], out.counts[0], out.arms[0])
        return values[0], one, int(stops[0]), capped[0]

    def ledger(self, name: str, values: Any, one: Outcomes, stop: int, capped: Any) -> tuple[Any, Any, Any]:
        """Play a structure; return its metrics, its book and the tally of people and outcomes that count."""
        plan, shared = self.plan, self.shared
        has_cap = name in shared.capped_names and plan.people
        if has_cap:
            s = shared.capped_names.index(name)
            capped = capped[shared.caps.first[s] : shared.caps.first[s + 1]]
        book = new_book_of(plan, name)
        tally = new_tally(len(plan.outcome_names), len(plan.cohort_names))
        found = np.empty(book_of.METRICS)
        book_of.play(
            values,
            shared.planned[name],
            plan.structures[name],
            plan.calendar,
            plan.measures,
            plan.cohorts,
            plan.blocks,
            one,
            np.ascontiguousarray(capped),
            has_cap,
            stop,
            NOTHING_PUBLISHED,
            tally,
            book,
            found,
        )
        return found, book, tally

    def net(self, name: str, values: Any, book: Any, found: Any) -> Any:
        """What a fund that holds the paper leaves, [METRICS], of a ledger that was played; None without a fund."""
        terms, row = self.plan.structures[name], np.empty(book_of.METRICS)
        if terms.finance.fund.size == 0:
            return None
        book_of.measure_fund(values, self.plan.calendar, terms, book, found, row)
        return row


SMALL = """
deal: a small deal
time: {start: 2020-04, step: quarter, horizon: 4 years}
cohorts:
  first: {people: 80, referred: 2020-04 to 2021-03}
  second: {people: 60, referred: 2021-01 to 2021-12}
outcomes:
  job: {without_service: 20%, effect: 10% ± 10%, effect_as: units, known_after: uniform(3 months, 9 months)}
  offences:
    {counts: events, better: fewer, without_service: 1.5, dispersion: 0.8, effect: -15% ± 10%, known_after: 1 year,
     comparison_arm: {people: 2 per person}}
measures:
  reduction: {reduction_in: offences, against: comparison_arm, as: share}
  fewer offences: {reduction_in: offences, against: comparison_arm, as: units}
costs: {set_up: 20000, delivery: 60000 a year}
payer_costs: {evaluation: 9000 at the end}
finance: {commitment: 150000, called: 1 quarter ahead}
structures:
  rate card:
    rate_card: {job: 4000, fewer offences: 300}
    at_most: {contract: 250000}
  comparison:
    pays:
      each:
        for: each cohort
        when: {reduction: at least 10%}
        amount: {price: 1500, times: fewer offences}
      pooled:
        for: all cohorts that ran
        unless: each
        when: {reduction: at least 5%}
        amount: {price: 1500, times: fewer offences}
    paid_after: 3 months
  fee:
    fee: 200000
    finance: none
"""
