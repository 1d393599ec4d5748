"""Cross-field checks of a deal, all in one place: each yields the path of a mistake and one line about it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

from simulator import copula, shocks
from simulator.deal import (
    ACCOUNT,
    ACCOUNTS,
    COMPOSED_KINDS,
    MOST_NAMED,
    PARTICIPANTS,
    SINGLE_KINDS,
    Amount,
    Clause,
    Deal,
    Leaf,
    Measure,
    Model,
    Outcome,
    Payer,
    Structure,
    WithoutService,
    exists,
    is_total,
    leaves,
    measure_of,
    named_clauses,
    outcome_names,
    outcome_of,
    outcomes_read,
    pay_shares,
    payers_of,
    quantity_of,
    resolve,
    to_plain,
    uncertain_names,
    unknown_name,
)
from simulator.doubts import Doubts
from simulator.ending_checks import account_names, accounts_in, ending_problems
from simulator.finance_checks import finance_problems
from simulator.quantity import UNITS, Quantity, QuantityError, parse
from simulator.yamlfile import join_path, nearest, split_path

Path = tuple[str | int, ...]
Found = Iterator[tuple[Path, str]]


def problems(deal: Deal, *, changed: bool = False, doubts: Doubts | None = None) -> list[tuple[Path, str]]:
    """List every mistake that the types alone cannot see.

    Parameters
    ----------
    deal
        The deal as written, short forms included.
    changed
        Whether values were changed after the file was read, so that a named quantity may have lost its use.
    doubts
        Values that are known to be wrong and were replaced: what may only follow from them is left out.

    Returns
    -------
    list of (path, message)
        Empty if the deal can be simulated.
    """
    doubts = Doubts(to_plain(deal)) if doubts is None else doubts
    first = [*_empty_names(deal, ()), *_named_quantities(deal, changed or bool(doubts)), *_correlations(deal, changed)]
    first += [*_prices(deal), *_cohorts(deal), *_segments(deal), *_outcomes(deal)]
    forms = list(_short_forms(deal))
    found = [each for each in [*first, *forms] if not doubts.follow(each[0])]
    for path, _ in first:
        doubts.add(path, lost=path[0] in {"outcomes", "measures"} and (len(path) < 3 or path[2] in _SHAPING))
    for path, _ in forms:
        doubts.add(path[:2])
    resolved = resolve(deal)
    second = [each for each in _measures(resolved) if not forms or each[0][1] in deal.measures]
    for path, text in _structures(resolved):
        where = _written(deal, path)
        if where != ("payers",) or deal.payers:  # borrowed from another structure: said there
            second.append((where, text))
    second += _worths(deal)
    second += _provenance(deal, resolved, changed, doubts)
    found += [each for each in second if not doubts.follow(each[0])]
    if found or doubts:  # these need the whole deal
        return found
    return [*_data_items(deal, resolved, changed), *_horizon(resolved), *_stresses(resolved)]


_SHAPING = {"counts", "steps", "of_those"}  # what other parts read of an outcome, beside whether there is a yardstick


def _empty_names(part: Any, path: Path) -> Found:
    """Find names without a letter, which no path and no table could show."""
    if isinstance(part, Model):
        for name, field in type(part).model_fields.items():
            yield from _empty_names(getattr(part, name), (*path, field.alias or name))
    elif isinstance(part, dict):
        for name, item in part.items():
            if not name.strip():
                yield (*path, name), "the name is empty; allowed: a name of one letter or more"
            yield from _empty_names(item, (*path, name))


def _stresses(resolved: Deal) -> Found:
    numbers = list(leaves(resolved))
    for name, changes in resolved.stresses.items():
        if not changes:
            yield ("stresses", name), "changes nothing; allowed: PATH: CHANGE"
        for pattern, how in changes.items():
            try:
                units = [each.quantity.unit for each in numbers if _is_meant(pattern, each)]
            except ValueError as error:
                yield ("stresses", name, pattern), str(error)
                continue
            if message := shocks.problem(pattern, how, units):
                yield ("stresses", name, pattern), message


def _is_meant(pattern: str, leaf: Leaf) -> bool:
    named = leaf.quantity.is_named and shocks.matches(pattern, ("quantities", leaf.quantity.name))
    return named or shocks.matches(pattern, leaf.path)


def _written(deal: Deal, path: Path) -> Path:
    """Where the file says what stands at a path of the resolved deal: inherited parts stand once at the top."""
    if len(path) < 3 or path[2] not in {"payers", "costs", "payer_costs", "finance"}:
        return path
    return path if getattr(deal.structures[str(path[1])], str(path[2])) is not None else path[2:]


def _known(name: str, known: Iterable[str], what: str) -> str:
    listed = list(known)
    near = nearest(name, listed)
    hint = f"did you mean {near!r}?" if near else "allowed: " + (", ".join(listed[:12]) or "none is defined")
    return f"no {what} is called {name!r}; {hint}"


def _named_quantities(deal: Deal, changed: bool) -> Found:
    used = set()
    for leaf in leaves(deal):
        if leaf.quantity.kind != "named":
            continue
        name = str(leaf.quantity.args[0])
        used.add(name)
        try:
            leaf.legal.check(quantity_of(deal, leaf.quantity, leaf.legal))
        except QuantityError as error:
            if name in deal.quantities:
                at_fault = ("quantities", name) if _is_no_quantity(deal.quantities[name]) else leaf.path
                yield at_fault, str(error) if at_fault != leaf.path else f"{name}: {error}"
            else:
                used.add(str(nearest(name, deal.quantities)))
                yield leaf.path, unknown_name(name, deal.quantities, str(leaf.path[-1]))
    for name in deal.quantities:
        if name not in used and not changed:
            yield ("quantities", name), "is used nowhere; allowed: quantities whose name stands for a number"


def _correlations(deal: Deal, changed: bool) -> Found:
    ranks: dict[frozenset[str], float] = {}
    at: dict[frozenset[str], int] = {}
    used = {leaf.quantity.name for leaf in leaves(deal) if leaf.quantity.kind == "named"}
    uncertain = uncertain_names(deal)
    wrong = False
    for position, each in enumerate(deal.correlations):
        path: Path = ("correlations", position, "between")
        pair = frozenset(each.between)
        mistakes = list(_pair_mistakes(deal, path, each.between, set() if changed else used - uncertain))
        if pair in ranks:
            mistakes.append((path, f"is a pair already, with {_percent(ranks[pair])}; allowed: pairs listed once"))
        yield from mistakes
        wrong = wrong or bool(mistakes)
        ranks.setdefault(pair, each.rank)
        at.setdefault(pair, position)
    for group in [] if wrong else copula.groups(deal.quantities, ranks):
        if copula.factor(group, ranks) is None:
            names = copula.clash(group, ranks)
            pair = max((pair for pair in ranks if pair.issubset(names)), key=at.__getitem__)
            yield ("correlations", at[pair], "rank"), _clash(names, ranks, pair)


def _pair_mistakes(deal: Deal, path: Path, names: list[str], certain: set[str]) -> Found:
    for place, name in enumerate(names):
        if name not in deal.quantities:
            yield (*path, place), _known(name, deal.quantities, "quantity")
        elif name in certain:
            yield (*path, place), f"{name!r} is fixed and moves with nothing; allowed: uncertain quantities"
    if names[0] == names[1]:
        yield path, f"{names[0]!r} is paired with itself; allowed: two different names"


def _clash(names: list[str], ranks: copula.Ranks, pair: frozenset[str]) -> str:
    """Say with which other pairs a rank is impossible, and which ranks would do."""
    others = [each for each in ranks if each != pair and each.issubset(names)]
    listed = [f"{_percent(ranks[each])} between {' and '.join(n for n in names if n in each)}" for each in others]
    if len(others) + 1 < math.comb(len(names), 2):
        listed.append("0% between pairs that are not listed")
    low, high = copula.possible(names, ranks, pair)
    low, high = math.ceil(low * 1000 + 1e-6) / 1000, math.floor(high * 1000 - 1e-6) / 1000
    allowed = f"{_percent(low)} to {_percent(high)}" if low <= high else "weaker correlations"
    return f"{_percent(ranks[pair])} cannot go with {', '.join(listed)}; allowed here: {allowed}"


def _prices(deal: Deal) -> Found:
    """Find money of different bases: one index, named, stands between real money and money of the day."""
    if deal.time.prices == "nominal":
        return
    if not (deal.rates.deflator or "").strip():
        named = "allowed: with rates.deflator, the name of the index that rates.inflation is of, such as GDP deflator"
        yield ("time", "prices"), f"is real, but the index between it and money of the day is not named; {named}"
    for name, structure in deal.structures.items():
        for key, clause in structure.pays.items():
            if clause.indexed is not None:
                both = "mixes nominal and real: prices of this file are real and rise with inflation already"
                where = ("structures", name, "pays", key, "indexed")
                yield where, f"{both}; allowed: leave it out, or time.prices: nominal"


def _percent(rank: float) -> str:
    return f"{100 * rank:.4g}%"


def _is_no_quantity(text: str | float) -> bool:
    """Whether a text is no quantity in any unit, so that its definition is at fault and not its use."""
    for unit in UNITS:
        try:
            if parse(text, unit).kind != "named":
                return False
        except QuantityError:
            continue
    return True


def _outside(quantity: Quantity, low: float, high: float) -> str | None:
    """Say how a quantity leaves its bounds, or None if it does so in at most one draw in a thousand."""
    outside = 0.0 if quantity.kind == "named" else quantity.probability_outside(low, high)
    if outside <= 0.001:
        return None
    return quantity.text() if quantity.is_fixed else f"{quantity.text()}, in {outside:.1%} of draws,"


def _cut(quantity: Quantity, bounds: str) -> str:
    return "" if quantity.is_fixed else f": say truncated({quantity.text()}, {bounds})"


def _cohorts(deal: Deal) -> Found:
    if not deal.cohorts:
        yield ("cohorts",), "there is none; allowed: at least one cohort"
    time = deal.time
    if time.periods > 4800:
        yield ("time", "horizon"), f"{time.periods} periods are too many; allowed: up to 4800 steps"
    for name, cohort in deal.cohorts.items():
        path: Path = ("cohorts", name)
        if time.period(cohort.referred.first) < 1:
            yield (*path, "referred"), f"begins before the deal starts; allowed: from {time.start.text()}"
        if time.period(cohort.referred.last) > time.periods:
            yield (*path, "referred"), f"ends after the horizon; allowed: up to {time.date(time.periods)[:7]}"
        if cohort.last_claim is not None and cohort.last_claim < cohort.referred.first:
            yield (*path, "last_claim"), "is before the first referral; allowed: a later month"
    if time.service is not None and time.period(time.service.first) < 1:
        yield ("time", "service"), f"begins before the deal starts; allowed: from {time.start.text()}"
    if time.service is not None and time.period(time.service.last) > time.periods:
        yield ("time", "service"), f"ends after the horizon; allowed: up to {time.date(time.periods)[:7]}"


def _segments(deal: Deal) -> Found:
    rest = [name for name, segment in deal.segments.items() if segment.share is None]
    for name in rest[1:]:
        yield ("segments", name), f"has no share, and {rest[0]!r} is the rest already; allowed: share"
    shares = [segment.share for segment in deal.segments.values() if segment.share is not None]
    means = [_expected(deal, share, math.nan) for share in shares]
    total = sum(means)
    if deal.segments and not rest:
        if abs(total - 1) > 1e-9:
            yield ("segments",), f"the shares add to {100 * total:.6g}%; allowed: 100% in all, or one without a share"
        elif not all(quantity_of(deal, share).is_fixed for share in shares):
            yield ("segments",), "a share is uncertain, so that they need not add to 100%; allowed: one without a share"
    elif total > 1 + 1e-9:
        yield ("segments",), f"the shares add to {100 * total:.6g}%; allowed: at most 100%"
    for name, segment in deal.segments.items():
        for key in ("levels", "effects"):
            for outcome in getattr(segment, key):
                if outcome not in deal.outcomes:
                    yield ("segments", name, key, outcome), _known(outcome, deal.outcomes, "outcome")


_KIND_WORDS = {
    "yes or no": "a chance such as 10% to 20%",
    "events": "events a person such as 1.5",
    "amount": "an amount a person such as 120",
    "score": "a score such as 45",
}


def _kind_of_outcome(deal: Deal, path: Path, name: str, outcome: Outcome) -> Found:
    """Find what does not suit the kind of an outcome."""
    counts = "milestones" if outcome.steps else outcome.counts
    if counts != "amount" and not _is(outcome.any, 1):
        yield (*path, "any"), "belongs to amounts; allowed: counts: amount"
    if counts not in {"amount", "score"} and not _is(outcome.spread, 0):
        yield (*path, "spread"), "belongs to amounts and scores; allowed: counts: amount, counts: score"
    for alone in ("before", "of_those", "baseline_resets") if counts == "milestones" else ():
        if getattr(outcome, alone) is not None:
            yield (*path, alone), "belongs to a single outcome; allowed: outcomes without steps"
    if outcome.baseline_resets is not None and outcome.baseline is None:
        yield (*path, "baseline_resets"), "there is no baseline; allowed: with baseline"
    if outcome.of_those is not None and counts != "milestones":
        yield from _of_those(deal, path, name, outcome)
    if counts in {"amount", "score"}:
        for key in ("mistaken",) if counts == "amount" else ("missing", "mistaken"):
            quantity = getattr(outcome.evidence, key)
            if not _is(quantity, 0):
                what = "an amount" if counts == "amount" else "a score"
                yield (*path, "evidence", key), f"does not suit {what}; allowed: leave it out"
    if counts == "score" and outcome.effect_as == "share" and not _is(outcome.effect, 0):
        yield (*path, "effect"), "a score has no share; allowed: effect_as: units, with an effect in points"


def _is(quantity: Quantity, value: float) -> bool:
    return quantity.is_fixed and quantity.value == value


def _wrong_whole(deal: Deal, name: str, those: str, above: list[str]) -> str:
    """Say why an outcome cannot be of those who had another."""
    seen, here = [name], those
    while here in deal.outcomes and here not in seen:
        seen.append(here)
        here = str(deal.outcomes[here].of_those)
    allowed = f"allowed: a yes/no outcome or milestone above this one ({', '.join(above) or 'there is none'})"
    if here == name:
        return f"goes in a circle: {' of those with '.join([*seen, name])}; {allowed}"
    if those in deal.outcomes and deal.outcomes[those].counts != "yes or no":
        return f"{those!r} is counted or measured and parts nobody; {allowed}"
    if those in outcome_names(deal):
        return f"{those!r} stands below; {allowed}"
    return _known(those, above, "yes/no outcome or milestone above this one")


def _of_those(deal: Deal, path: Path, name: str, outcome: Outcome) -> Found:
    above: list[str] = []
    for other, each in deal.outcomes.items():
        if other == name:
            break
        above += each.steps or ([other] if each.counts == "yes or no" else [])
    if outcome.of_those not in above:
        yield (*path, "of_those"), _wrong_whole(deal, name, str(outcome.of_those), above)
    for key in ("comparison_arm", "before"):
        if getattr(outcome, key) is not None:
            yield (*path, key), "belongs to an outcome of everybody; allowed: outcomes without of_those"


def _outcomes(deal: Deal) -> Found:
    if not deal.outcomes:
        yield ("outcomes",), "there is none; allowed: at least one outcome"
    seen: dict[str, Path] = {}
    for name, outcome in deal.outcomes.items():
        path: Path = ("outcomes", name)
        own = [(each, (*path, "steps", each)) for each in outcome.steps] if outcome.steps else [(name, path)]
        for each, where in own:
            if each == PARTICIPANTS:
                yield where, "the name is taken by the number of people referred; allowed: another name"
            if each in seen:
                yield where, f"the name {each!r} stands for another outcome already; allowed: names used once"
            seen[each] = where
            if each in deal.measures:
                yield ("measures", each), "an outcome has this name; allowed: another name"
        yield from _chain(path, outcome) if outcome.steps is not None else _single(path, outcome)
        yield from _kind_of_outcome(deal, path, name, outcome)


def _single(path: Path, outcome: Outcome) -> Found:
    if outcome.counts == "milestones":
        yield path, "has no steps; allowed: counts: milestones with steps"
        return
    level = outcome.without_service
    a_level = _KIND_WORDS[outcome.counts]
    if level is None:
        yield (*path, "without_service"), f"is needed; allowed: {a_level}"
        return
    if isinstance(level, (WithoutService, str)):
        yield (*path, "without_service"), f"belongs to an outcome with steps; allowed: {a_level}"
        return
    if outcome.counts == "yes or no":
        if out := _outside(level, 0, 1):
            legal = f"allowed: 0% to 100%{_cut(level, '0%, 100%')}"
            yield (*path, "without_service"), f"{out} is no probability; {legal}"
    elif outcome.counts != "score" and (out := _outside(level, 0, math.inf)):
        yield (*path, "without_service"), f"{out} is below 0; allowed: at least 0{_cut(level, '0, none')}"
    if outcome.dispersion != "none" and outcome.counts != "events":
        yield (*path, "dispersion"), "belongs to events; allowed: counts: events"
    if outcome.effect_as == "share" and outcome.counts != "score" and (out := _outside(outcome.effect, -1, math.inf)):
        legal = f"allowed: at least -100% of the level{_cut(outcome.effect, '-100%, none')}"
        yield (*path, "effect"), f"{out} is below -100%; {legal}"
    if outcome.effect_as == "units" and outcome.counts == "yes or no" and outcome.effect.kind != "named":
        middle = outcome.effect.mean()
        if abs(middle) > 1:
            points = f"{outcome.effect.text()} are added to a chance"
            yield (*path, "effect"), f"{points}; allowed: -100% to 100%, such as 15% for 15 points"
    baseline = outcome.baseline if outcome.counts == "yes or no" else None
    if baseline is not None and (out := _outside(baseline, 0, 1)):
        yield (*path, "baseline"), f"{out} is no probability; allowed: 0% to 100%{_cut(baseline, '0%, 100%')}"
    arm = outcome.comparison_arm
    if arm is not None and arm.people.form == "people" and arm.people.quantity.unit == "share":
        where = (*path, "comparison_arm", "people")
        yield where, f"{arm.people.quantity.text()} is no number of people; allowed: 10 per person, or 500 people"


def _chain(path: Path, outcome: Outcome) -> Found:
    steps = outcome.steps or {}
    if not steps:
        yield (*path, "steps"), "there is none; allowed: at least one milestone"
    if outcome.counts == "events":
        yield (*path, "counts"), "a chain counts milestones; allowed: counts: milestones, or leave it out"
    for key in ("promised_effect", "baseline", "comparison_arm"):
        if getattr(outcome, key) is not None:
            yield (*path, key), "belongs to a single outcome; allowed: outcomes without steps"
    if not isinstance(outcome.without_service, (WithoutService, str, type(None))):
        level = outcome.without_service.text()
        yield (*path, "without_service"), f"{level} is no chain; allowed: {{first_step: CHANCE}} or as with service"
    for key in ("effect", "known_after"):
        quantity = getattr(outcome, key)
        if not _is(quantity, 0):
            yield (*path, key), "belongs to a single outcome; allowed: chance and after of each step"
    above: list[str] = []
    for name, step in steps.items():
        where = (*path, "steps", name)
        if name == "referral":
            yield where, "the name is taken by the beginning of a chain; allowed: another name"
        parent = step.follows or (above[-1] if above else "referral")
        if parent != "referral" and parent not in above:
            yield (*where, "follows"), _known(parent, ["referral", *above], "step above")
        if step.instead_of is not None:
            if step.instead_of not in above:
                yield (*where, "instead_of"), _known(step.instead_of, above, "step above")
            else:
                position = above.index(step.instead_of)
                other = steps[step.instead_of].follows or (above[position - 1] if position else "referral")
                if other != parent:
                    yield (
                        (*where, "instead_of"),
                        f"{step.instead_of!r} follows {other!r} but this step follows {parent!r}; "
                        "allowed: steps that follow the same one",
                    )
        above.append(name)


def _worths(deal: Deal) -> Found:
    outcomes, grades = outcome_names(deal), deal.optimism_bias or {}
    for key, worths in (("savings", deal.savings or {}), ("social_value", deal.social_value or {})):
        groups = [each.one_of for each in worths.values()]
        for name, each in worths.items():
            path: Path = (key, name)
            if each.outcome not in outcomes:
                yield (*path, "outcome"), _known(each.outcome, outcomes, "outcome")
            if each.evidence not in grades:
                yield (*path, "evidence"), _known(each.evidence, grades, "grade under optimism_bias")
            if each.each.form == "a year" and each.lasts is None:
                yield path, "is worth something a year, but for how long is not said; allowed: with lasts: DURATION"
            if each.each.form == "once" and each.lasts is not None:
                yield (*path, "lasts"), "belongs to a worth by the year; allowed: with each: AMOUNT a year"
            if each.one_of is not None and groups.count(each.one_of) == 1:
                yield (
                    (*path, "one_of"),
                    f"{each.one_of!r} is a group of one; allowed: a name that another of the {key} has, too",
                )


def _short_forms(deal: Deal) -> Found:
    if not deal.structures:
        yield ("structures",), "there is none; allowed: at least one payment structure"
    known = [*outcome_names(deal), *deal.measures]
    for name, structure in deal.structures.items():
        path: Path = ("structures", name)
        for row in structure.rate_card or {}:
            if row not in known:
                yield (*path, "rate_card", row), _known(row, known, "outcome or measure")
        if structure.group_threshold and structure.group_threshold.outcome not in known:
            outcome = structure.group_threshold.outcome
            yield (*path, "group_threshold", "outcome"), _known(outcome, known, "outcome")
        if structure.control_comparison:
            yield from _control_comparison(deal, path, structure)
        if structure.paid is not None and structure.fee is None:
            yield (*path, "paid"), "says when a fee is paid, but there is none; allowed: with fee"
        yield from _clause_names(path, structure)
        forms = (structure.pays, structure.rate_card, structure.group_threshold, structure.control_comparison)
        if structure.fee is None and structure.each_person is None and not any(forms):
            yield (
                path,
                "pays nothing; allowed: pays, rate_card, group_threshold, control_comparison, fee or each_person",
            )


def _clause_names(path: Path, structure: Structure) -> Found:
    """Find short forms whose clauses would take the names of others."""
    made: list[tuple[str, Path]] = [(row, (*path, "rate_card", row)) for row in structure.rate_card or {}]
    if structure.group_threshold:
        made.append(("group threshold", (*path, "group_threshold")))
    if structure.control_comparison:
        made.append(("each cohort", (*path, "control_comparison")))
        if structure.control_comparison.pooled is not None:
            made.append(("pooled", (*path, "control_comparison", "pooled")))
    if structure.fee is not None:
        made.append(("fee", (*path, "fee")))
    if structure.each_person is not None:
        made.append(("each person", (*path, "each_person")))
    taken = set(structure.pays)
    for name, where in made:
        if name in taken:
            yield where, f"makes a clause called {name!r}, and another has this name; allowed: names used once"
        taken.add(name)


def _control_comparison(deal: Deal, path: Path, structure: Structure) -> Found:
    short = structure.control_comparison
    assert short is not None
    where = (*path, "control_comparison")
    if short.outcome not in outcome_names(deal):
        yield (*where, "outcome"), _known(short.outcome, outcome_names(deal), "outcome")
    elif short.outcome not in deal.outcomes:
        yield (*where, "outcome"), "is a milestone; allowed: outcomes without steps"
    elif (
        short.against in {"comparison_arm", "baseline"} and getattr(deal.outcomes[short.outcome], short.against) is None
    ):
        here = (*where, "against" if "against" in short.model_fields_set else "outcome")
        others = "baseline, or a level" if short.against == "comparison_arm" else "comparison_arm, or a level"
        yield here, f"outcome {short.outcome!r} has no {short.against}; allowed: give it one, or against: {others}"
    if (short.price is None) == (short.pays is None):
        yield where, "says not exactly one thing; allowed: price (a unit) or pays (a lump sum)"


def _readable(deal: Deal) -> list[str]:
    """Names that stand for a measure."""
    return [*outcome_names(deal), *deal.measures, PARTICIPANTS, *ACCOUNTS]


def _measures(deal: Deal) -> Found:
    yield from account_names(deal)
    sound = set()
    for name, measure in deal.measures.items():
        path: Path = ("measures", name)
        kinds = (*SINGLE_KINDS, *COMPOSED_KINDS)
        given = [key for key in kinds if getattr(measure, key)]
        mistakes: list[tuple[Path, str]] = []
        if name == PARTICIPANTS or name.endswith((" (so far)", " (units)")):
            mistakes.append((path, "the name is taken by measures that the program makes; allowed: another name"))
        if len(given) != 1:
            mistakes.append((path, f"says not exactly one thing; allowed: one of {', '.join(kinds)}"))
        elif measure.parts:
            mistakes += _composed(deal, path, name, measure)
        elif measure.kind not in {PARTICIPANTS, ACCOUNT}:
            try:
                outcome, step = outcome_of(deal, measure.outcome)
            except KeyError:
                mistakes.append(((*path, given[0]), _known(measure.outcome, outcome_names(deal), "outcome")))
            else:
                mistakes += _comparison(path, measure, outcome, step is not None)
        if not measure.parts and measure.when is not None:
            mistakes.append(((*path, "when"), "is the condition of choice_of; allowed: leave it out"))
        mistakes += _limits(deal, path, measure)
        sound |= set() if mistakes else {name}
        yield from mistakes
    for name in sound:
        if name in _below(deal, name):
            yield ("measures", name), "is composed of itself; allowed: parts that do not lead back to it"


def _below(deal: Deal, name: str) -> set[str]:
    """All measures that one is composed of, step by step."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        parts = {part for part in measure_of(deal, waiting.pop()).parts if part in deal.measures} - found
        found |= parts
        waiting += parts
    return found


def _composed(deal: Deal, path: Path, name: str, measure: Measure) -> Found:
    known = [each for each in _readable(deal) if each != name]
    for key in COMPOSED_KINDS:
        value = getattr(measure, key)
        for place, part in enumerate([value] if isinstance(value, str) else value or ()):
            where = {"p_value_of": (key,), "sum_of": (key, part)}.get(key, (key, place))
            if part not in known:
                yield (*path, *where), _known(part, known, "measure or outcome")
            elif key == "choice_of" and accounts_in(deal, part):
                yield (
                    (*path, *where),
                    "is an account, and a choice is one between results; allowed: in sum_of, ratio_of",
                )
    for key, given in (("against", measure.against is not None), ("as", measure.as_ != "share")):
        if given:
            yield (*path, key), "belongs to reduction_in and increase_in; allowed: leave it out"
    for condition in measure.when or ():
        if condition not in known:
            yield (*path, "when", condition), _known(condition, known, "measure or outcome")
        elif accounts_in(deal, condition):
            yield (*path, "when", condition), "is an account, and a choice rests on results; allowed: a result"
    if measure.when is not None and (measure.choice_of is None or len(measure.when) != 1):
        yield (*path, "when"), "is one condition of choice_of; allowed: when: {MEASURE: at least 10%}"
    of = deal.measures.get(measure.p_value_of or "")
    if measure.p_value_of is not None and measure.p_value_of in known:
        here = (*path, "p_value_of")
        if of is None or of.kind not in {"reduction", "increase"}:
            yield here, "is no difference; allowed: a measure with reduction_in or increase_in"
        elif of.against == "before":
            yield here, "is of the same people before; allowed: against comparison_arm, baseline or a level"
        elif of.over != "each cohort":
            yield here, "is over the cohorts so far; allowed: over: cohorts so far on the p-value itself"
        elif of.outcome in outcome_names(deal) and outcome_of(deal, of.outcome)[0].counts not in _TESTED:
            yield here, f"{of.outcome!r} has no test; allowed: outcomes that count {', '.join(sorted(_TESTED))}"


_TESTED = {"yes or no", "events", "milestones"}


def _limits(deal: Deal, path: Path, measure: Measure) -> Found:
    low, high = measure.no_less_than, measure.no_more_than
    if low is not None and high is not None and _expected(deal, low, -math.inf) > _expected(deal, high, math.inf):
        yield (*path, "no_more_than"), f"is below no_less_than, {low.text()}; allowed: at least as much"
    if measure.rounded is not None and not measure.rounded.quantity.is_fixed:
        yield (*path, "rounded"), "is uncertain; allowed: a fixed step such as to 1%"


def _comparison(path: Path, measure: Measure, outcome: Outcome, milestone: bool) -> Found:
    if measure.kind in {"count", "share", "mean"}:
        if measure.against is not None:
            yield (*path, "against"), "belongs to reduction_in and increase_in; allowed: leave it out"
        if measure.kind == "share" and outcome.counts in {"events", "amount", "score"}:
            what = {"events": "events have", "amount": "an amount has", "score": "a score has"}[outcome.counts]
            yield (*path, "share_of"), f"{what} no share; allowed: mean_of, or a yes/no outcome or a milestone"
        return
    if measure.against is None:
        yield path, "needs against; allowed: comparison_arm, baseline, before or a level a person"
    elif measure.against == "before" and outcome.before is None:
        yield (*path, "against"), f"outcome {measure.outcome!r} has no before; allowed: give it one"
    elif measure.against == "comparison_arm" and outcome.comparison_arm is None:
        yield (*path, "against"), f"outcome {measure.outcome!r} has no comparison_arm; allowed: give it one"
    elif measure.against == "baseline" and (outcome.baseline is None or milestone):
        yield (*path, "against"), f"outcome {measure.outcome!r} has no baseline; allowed: give it one, or a level"


def _structures(deal: Deal) -> Found:
    if deal.engine == "aggregate" and any(each.at_most.per_person is not None for each in deal.structures.values()):
        yield ("engine",), "a cap per person needs people; allowed: by the rules, people"
    for name, structure in deal.structures.items():
        path: Path = ("structures", name)
        yield from _payers(deal, structure, (*path, "payers"))
        above: list[str] = []
        for key, clause in structure.pays.items():
            yield from _clause(deal, structure, (*path, "pays", key), clause, above)
            above.append(key)
        # names of the triggers in the answers
        labels = {"any payment"} | {
            f"ended early: {each}" for each in ("policy change", "no money", *(structure.breaks or {}))
        }
        for key, clause in structure.pays.items():
            own = {key} | {f"{key} [{cohort}]" for cohort in deal.cohorts if clause.for_ == "each cohort"}
            if own & labels:
                yield (*path, "pays", key), f"{min(own & labels)!r} is taken in the answers; allowed: another name"
            labels |= own
        if len(named := named_clauses(structure)) > MOST_NAMED:
            what = f"{len(named)} clauses that others name (unless, only_if, less) are too many"
            yield (*path, "pays"), f"{what}; allowed: up to {MOST_NAMED}"
        yield from finance_problems(deal, structure, (*path, "finance"))
        yield from ending_problems(deal, structure, path, _readable(deal))


_MOST_PAID_FOR = 60


def _payers(deal: Deal, structure: Structure, path: Path) -> Found:
    """Find what no payer pays, or more than one in full."""
    payers = payers_of(structure)
    if any(payer.share is not None and not payer.share.is_fixed for payer in payers.values()):
        yield path, "a payer's share is uncertain; allowed: fixed shares that add to 100%"
        return
    sound = True
    for name, payer in payers.items():
        if payer.of and len(structure.pays) > _MOST_PAID_FOR:
            sound = False
            what = f"picks from {len(structure.pays)} clauses"
            yield (*path, name, "of"), f"{what}; allowed: in a structure of up to {_MOST_PAID_FOR}"
        for clause in payer.of:
            if clause not in structure.pays:
                sound = False
                yield (*path, name, "of"), _known(clause, structure.pays, "clause of this structure")
        if payer.over_the_year == "carried forward" and payer.at_most_a_year is None:
            yield (*path, name, "over_the_year"), "nothing is above it; allowed: with at_most_a_year"
        if payer.from_ is not None and payer.until is not None and payer.until < payer.from_:
            sound = False
            yield (*path, name, "until"), f"is before from, {payer.from_.text()}; allowed: a later month"
    if not sound:
        return
    if pay_shares(structure):
        total = sum(payer.share.value for payer in payers.values() if payer.share is not None)
        if abs(total - 1) > 1e-9:
            yield path, f"the shares add to {100 * total:.6g}%; allowed: 100% in all"
        return
    period = deal.time.period
    starts = {1} | {period(each.from_) for each in payers.values() if each.from_ is not None}
    starts |= {period(each.until) + 1 for each in payers.values() if each.until is not None}
    clauses: list[str | None] = [*structure.pays] or [None]
    for each_clause in clauses:
        for t in sorted(t for t in starts if 1 <= t <= deal.time.periods):
            asked = [each for each in payers.values() if _pays(deal, each, each_clause, t)]
            total = sum(each.share.value for each in asked if each.share is not None)
            rest = any(each.share is None for each in asked)
            if total > 1 + 1e-9 or (not rest and total < 1 - 1e-9):
                of = "" if each_clause is None else f" of {each_clause!r}"
                when = "" if len(starts) == 1 else f" from {deal.time.date(t - 1)}"
                what = f"pay {100 * total:.6g}%{of}{when}"
                yield path, f"{what}; allowed: shares of 100% in all, or less and a payer without a share (the rest)"
                return


def _pays(deal: Deal, payer: Payer, clause: str | None, t: int) -> bool:
    early = payer.from_ is not None and t < deal.time.period(payer.from_)
    late = payer.until is not None and t > deal.time.period(payer.until)
    return not early and not late and (clause is None or not payer.of or clause in payer.of)


def _expected(deal: Deal, quantity: Quantity, otherwise: float) -> float:
    """Mean of a quantity; `otherwise` if it is the name of nothing, which is said elsewhere."""
    try:
        return quantity_of(deal, quantity).mean()
    except QuantityError:
        return otherwise


def _clause(deal: Deal, structure: Structure, path: Path, clause: Clause, above: list[str]) -> Found:
    known = _readable(deal)
    own = str(path[-1])
    for key, others in (("unless", above), ("only_if", above), ("less", [*above, own])):
        for other in getattr(clause, key):
            if other not in others:
                yield (*path, key), _known(other, others, "clause above this one")
    for key in ("when", "any_of"):
        for name in getattr(clause, key):
            if name not in known:
                yield (*path, key, name), _known(name, known, "measure or outcome")
            elif getattr(clause, key)[name].quantity.unit == "share" and is_total(deal, name):
                text = f"{getattr(clause, key)[name].text()!r} is a percentage, and {name!r} a number"
                yield (*path, key, name), f"{text}; allowed: a number such as at least 20, or a measure that is a share"
    yield from _only_some_cohorts(deal, structure, path, clause)
    yield from _fixed_step(path, clause)
    amount = clause.amount
    yield from _amount(path, amount)
    steps = None if amount.table is None else [level for level, _ in amount.table.points]
    bands = None if amount.bands is None else [level for level, _ in amount.bands]
    for points, where in ((steps, ("table", "points")), (bands, ("bands",))):
        if points is None:
            continue
        levels = [_expected(deal, level, math.nan) for level in points]
        if not levels:
            yield (*path, "amount", *where), "there is none; allowed: [[LEVEL, AMOUNT], ...]"
        if any(low >= high for low, high in pairwise(levels)):
            yield (*path, "amount", *where), "levels must rise; allowed: [[LEVEL, AMOUNT], ...] upward"
    for key in ("by", "times"):
        name = getattr(amount, key)
        if name is not None and name not in known:
            yield (*path, "amount", key), _known(name, known, "measure or outcome")
    if clause.for_ == "each participant":
        if clause.when or clause.any_of:
            gated = "for: each cohort, with price and times, or only_if a clause above that has the condition"
            yield path, f"a clause for each participant has no condition on a measure of the group; allowed: {gated}"
        yield from _only_for_groups(path, clause)
        if amount.times is not None and (amount.times in deal.measures or amount.times in (PARTICIPANTS, *ACCOUNTS)):
            yield (*path, "amount", "times"), "is no outcome; allowed: for each participant an outcome's name"
        elif amount.times in known and outcome_of(deal, amount.times)[0].counts == "score":
            yield (
                (*path, "amount", "times"),
                "is a score, which may be negative; allowed for each participant: yes/no, events, amounts, milestones",
            )
        if amount.times is None or amount.price is None:
            yield (
                (*path, "amount"),
                "is no price of an outcome; allowed for each participant: price and times an outcome",
            )
        if clause.due != "when known":
            yield (*path, "due"), f"{clause.due!r} is only for the contract; allowed for each participant: when known"
    elif clause.for_ == "the contract":
        fee = amount.lump_sum is not None and not amount.times
        if clause.due != "at an early end" and (not fee or clause.when or clause.any_of):
            yield path, "a clause for the contract is a fee; allowed: due and lump_sum, with unless and only_if"
        yield from _only_for_groups(path, clause)
        if clause.due == "when known":
            allowed = "evenly, at the start, at the end, when referred, at an early end"
            yield (*path, "due"), f"is needed for the contract; allowed: {allowed}"
    elif clause.due != "when known":
        yield (*path, "due"), f"{clause.due!r} is only for the contract; allowed for cohorts: when known"
    if clause.above is not None and clause.due != "when referred":
        yield (*path, "above"), "counts people who are referred; allowed: with due: when referred"
    if (
        clause.at_most is not None
        and clause.at_most.outcomes is not None
        and not (amount.times is not None and measure_of(deal, amount.times).kind in {"count", PARTICIPANTS})
    ):
        yield (*path, "at_most", "outcomes"), "limits a counted outcome; allowed: with times an outcome"


def _only_some_cohorts(deal: Deal, structure: Structure, path: Path, clause: Clause) -> Found:
    for name in clause.cohorts:
        if name not in deal.cohorts:
            yield (*path, "cohorts"), _known(name, deal.cohorts, "cohort")
    if not clause.cohorts:
        return
    if clause.for_ not in {"each participant", "each cohort"}:
        yield (*path, "cohorts"), f"is for some cohorts only; allowed for {clause.for_}: leave it out"
    elif clause.for_ == "each participant" and structure.at_most.per_person is not None:
        yield (*path, "cohorts"), "does not go with a cap per person; allowed: leave one of them out"
    if len(deal.cohorts) > 60:
        yield (*path, "cohorts"), f"{len(deal.cohorts)} cohorts are too many for it; allowed: up to 60"


def _amount(path: Path, amount: Amount) -> Found:
    here: Path = (*path, "amount")
    by = amount.by is not None or amount.table is not None
    forms = [amount.price, amount.share, amount.lump_sum, amount.bands]
    if sum(each is not None for each in forms) + by != 1:
        allowed = "price and times, share and times, lump_sum, by and table, or bands and times"
        yield here, f"says not exactly one thing; allowed: {allowed}"
    for key in ("price", "share", "bands"):
        if getattr(amount, key) is not None and amount.times is None:
            yield here, f"a {key.rstrip('s')} needs times; allowed: times: an outcome or a measure"
    if (amount.by is None) != (amount.table is None):
        yield here, "by and table belong together; allowed: both or neither"
    if amount.per is not None and (amount.times is None or amount.lump_sum is not None):
        yield (
            (*here, "per"),
            "is a unit of what is multiplied; allowed: with times and price, share, table or bands",
        )


def _fixed_step(path: Path, clause: Clause) -> Found:
    if clause.rounded is not None and not clause.rounded.quantity.is_fixed:
        yield (*path, "rounded"), "is uncertain; allowed: a fixed step such as to 1"


def _only_for_groups(path: Path, clause: Clause) -> Found:
    wrong = [key for key in ("at_least", "less", "rounded") if getattr(clause, key)]
    if clause.amount.per is not None:
        yield (*path, "amount", "per"), f"is only for cohorts; allowed for {clause.for_}: leave it out"
    for key in wrong:
        yield (*path, key), f"is only for cohorts; allowed for {clause.for_}: leave it out"


def _provenance(deal: Deal, resolved: Deal, changed: bool, doubts: Doubts) -> Found:
    written, full = to_plain(deal), to_plain(resolved)
    for kind in ("facts", "assumptions"):
        for text in getattr(deal, kind):
            try:
                path = split_path(text)
            except ValueError as error:
                yield (kind, text), str(error)
                continue
            made = path[0] == "measures" and bool(doubts)  # a short form in doubt may make it
            if not (changed or made or doubts.touch(path) or exists(written, path) or exists(full, path)):
                yield (kind, text), "there is nothing at this path; allowed: paths as sib show --paths prints them"
    if deal.actual is not None and deal.actual.structure not in deal.structures:
        yield ("actual", "structure"), _known(deal.actual.structure, deal.structures, "structure")


def _data_items(deal: Deal, resolved: Deal, changed: bool) -> Found:
    """Check that items are needed by somebody, and inform numbers that there are."""
    paths = {join_path(leaf.path) for leaf in leaves(resolved) if leaf.path[0] != "data_items"}
    for name, item in deal.data_items.items():
        path: Path = ("data_items", name)
        if not item.needed_by:
            yield (*path, "needed_by"), "is needed by nobody; allowed: one party or more"
        for key in ("needed_by", "informs"):
            names = getattr(item, key)
            for twice in sorted({each for each in names if names.count(each) > 1}):
                yield (*path, key), f"{twice!r} stands there twice; allowed: each name once"
        for each in item.informs:
            if not (changed or each in deal.quantities or each in paths):
                known = [*deal.quantities, *sorted(paths)]
                near = nearest(each, known)
                hint = f"did you mean {near!r}?" if near else "allowed: names under quantities, and paths of numbers"
                yield (*path, "informs"), f"{each!r} is no number of the deal; {hint}"
    if deal.evidence_serves is not None and not deal.data_items:
        yield ("evidence_serves",), "there is no evidence without data; allowed: with data_items"


def _horizon(deal: Deal) -> Found:
    """Check that every payment falls within the horizon on the expected path."""
    time = deal.time
    last = 0
    for structure in deal.structures.values():
        paid_after = math.ceil(_mean(deal, structure.paid_after) / time.months - 1e-9)
        for clause in structure.pays.values():
            if clause.for_ != "the contract":
                last = max(last, _last_known(deal, clause) + paid_after)
    if last > time.periods:
        yield (
            ("time", "horizon"),
            f"ends before the last payment is due on the expected path; allowed: at least {last * time.months} months",
        )


def _mean(deal: Deal, quantity: Quantity) -> float:
    return quantity_of(deal, quantity).mean()


def _last_known(deal: Deal, clause: Clause) -> int:
    """Period in which the last outcome that a clause reads is known, on the expected path."""
    read = {outcome for name in clause.reads for outcome, _ in outcomes_read(deal, name) if outcome}
    known = 0
    for key, cohort in deal.cohorts.items():
        if clause.cohorts and key not in clause.cohorts:
            continue
        referred = deal.time.period(cohort.referred.last)
        claim = deal.time.periods if cohort.last_claim is None else deal.time.period(cohort.last_claim)
        for name in read:
            at = referred + max(0, math.ceil(_months_after(deal, name) / deal.time.months - 0.5 - 1e-9))
            known = max(known, at if cohort.last_claim is None else min(at, max(claim, referred)))
    return known


def _months_after(deal: Deal, name: str) -> float:
    outcome, step = outcome_of(deal, name)
    if step is None:
        own = _mean(deal, outcome.known_after) + _mean(deal, outcome.delay)
        return own if outcome.of_those is None else max(own, _months_after(deal, outcome.of_those))
    first = step.follows in {None, "referral"}
    before = _mean(deal, outcome.delay) if first else _months_after(deal, step.follows or "")
    return before + _mean(deal, step.after)
