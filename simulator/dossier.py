"""Everything that a report says, asked once: a run, a comparison, and the questions of those who decide.

A run and its comparison take all draws that were asked for; the other questions simulate many worlds each and take the
first of the same draws, fewer where people are drawn one by one. The report says how many.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from simulator import cash as cash_of
from simulator.cases import cases
from simulator.compare import compare
from simulator.deal import Deal, needs_people
from simulator.information import Arm, information, people_of
from simulator.luck import luck
from simulator.plan import compile_plan
from simulator.result import Result
from simulator.run import simulate
from simulator.sensitivity import sensitivity
from simulator.stress import stress
from simulator.terms import Curve, Terms, curve, terms
from simulator.triggers import triggers

Progress = Callable[[int, int], None]

SIGNED, CONVENTIONAL = "as signed", "conventional"
DRAWS = {"triggers": 16_384, "luck": 16_384, "sensitivity": 4_096, "stress": 4_096, "information": 16_384}
"""At most so many draws for each question, where no person is drawn alone."""
PEOPLE_DRAWS = {"triggers": 2_048, "luck": 2_048, "sensitivity": 512, "stress": 512, "information": 2_048}
ARMS = (0.25, 1.0, 4.0)
"""Sizes of a comparison arm that are valued, times the one of the file, or else times the people of the deal."""
MOST_CURVES = 6
"""Clauses of a structure whose pay-off is drawn; a card has too many to draw each."""


@dataclass(frozen=True)
class Dossier:
    """Answers about one deal; `lead` is the structure that most pages are about."""

    deal: Deal
    lead: str
    result: Result
    compared: Mapping[str, Any]
    cash: Mapping[str, cash_of.Cash]
    terms: Mapping[str, list[Terms]]
    curves: Mapping[str, Curve | None]
    """Of the clauses of the lead."""
    triggers: Mapping[str, Any]
    luck: Mapping[str, Any]
    sensitivity: Mapping[str, Any]
    stress: Mapping[str, Any]
    information: Mapping[str, Any]
    cases: Mapping[str, Any] | None
    """Base, low and high case of the lead; None without investors."""
    asked: Mapping[str, Any] = field(default_factory=dict)
    """How to ask again: `file`, `sets`, `draws`, `seed`, `structures`."""

    @property
    def run(self) -> Mapping[str, Any]:
        """The answers of `sib run`, by the names of the interface."""
        return self.result.to_dict()


def lead_of(deal: Deal, structures: Sequence[str] | None) -> str:
    """Choose the structure that most pages are about: `as signed`, or else the first."""
    names = list(structures or deal.structures)
    return SIGNED if SIGNED in names else names[0]


def _one_for_each_driver(clauses: Sequence[Terms]) -> list[str]:
    """Names of clauses whose curves differ: a curve is of the whole structure, over what drives a clause."""
    drivers = {each.driver: each.clause for each in reversed(clauses) if each.driver is not None}
    return [each.clause for each in clauses if each.clause in drivers.values()][:MOST_CURVES]


def few(deal: Deal, question: str, draws: int) -> int:
    """Return how many draws a question takes, of those that were asked for."""
    return min(draws, (PEOPLE_DRAWS if needs_people(deal) else DRAWS)[question])


def _arms(deal: Deal, asked: Mapping[str, Any], lead: str) -> list[Arm]:
    """Comparison arms that are valued."""
    sizes = asked["structures"][lead]["sizes"].get("comparison_arm") or ()
    people = next((each["people"] for each in sizes if each["times"] == 1.0), 0.0) or people_of(compile_plan(deal))
    return [Arm(float(round(times * people))) for times in ARMS if round(times * people) >= 1]


def gather(
    deal: Deal,
    draws: int = 100_000,
    seed: int = 1,
    structures: Sequence[str] | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
    asked: Mapping[str, Any] | None = None,
) -> Dossier:
    """Ask everything that a report says.

    Parameters
    ----------
    deal, draws, seed, structures, threads
        As for :func:`simulator.simulate`.
    progress
        Called with the questions answered and their number.
    asked
        Words for "how to repeat it".

    Returns
    -------
    Dossier
    """
    lead = lead_of(deal, structures)
    names = [name for name in deal.structures if structures is None or name in structures]
    done, questions = 0, 8

    def step(answer: Any) -> Any:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, questions)
        return answer

    told = step(triggers(deal, few(deal, "triggers", draws), seed, [lead], threads))
    moved = step(sensitivity(deal, few(deal, "sensitivity", draws), seed, [lead], threads))
    tornado = (moved["structures"][lead].get("multiple") or {}).get("tornado")
    result = step(simulate(deal, draws, seed, names, threads))
    return Dossier(
        deal=deal,
        lead=lead,
        result=result,
        compared=step(compare(deal, draws, seed, names, budget=True, threads=threads)),
        cash=step(cash_of.cash_flows(deal, min(draws, cash_of.DRAWS), seed, names)),
        terms={name: terms(deal, name) for name in names},
        curves={name: curve(deal, lead, name) for name in _one_for_each_driver(terms(deal, lead))},
        triggers=told,
        luck=step(luck(deal, few(deal, "luck", draws), seed, [lead], threads)),
        sensitivity=moved,
        stress=step(stress(deal, draws=few(deal, "stress", draws), seed=seed, structures=[lead], threads=threads)),
        information=step(
            information(deal, few(deal, "information", draws), seed, names, threads, arms=_arms(deal, told, lead))
        ),
        cases=None if not tornado else cases(deal, tornado, lead, few(deal, "sensitivity", draws), seed, threads),
        asked=asked or {},
    )
