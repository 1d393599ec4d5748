"""Deliberate faults: each is put into a copy of the package, one at a time, and the tests named beside it must fail.

    python tests/faults.py                 all faults, two at a time
    python tests/faults.py -j 4 lag cap    those with one of these words in their name, four at a time

Every fault costs a compilation of the kernels, about half a minute, so this is a script and not a test;
`test_faults.py` only sees to it that the list stays applicable. The tests named must pass without a fault, which is
tried first.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

TOP = Path(__file__).parent.parent
COPIED = ("simulator", "tests", "scenarios", "setup.cfg", "ruff.toml")
PASSED, FAILED = 0, 1  # exit codes of pytest


class Fault(NamedTuple):
    """One fault: what it does, the old text (exactly once in the file), the new text, and the tests that must fail."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


ABREAST = "test_abreast.py::test_"
BY_HAND = "test_compare.py::test_differences_of_single_draws_are_those_of_the_readable_twin"
CHANCE = "test_chance.py::"
COMPARED = "test_compare.py::test_"
CLOSED = "test_closed_forms.py::test_"
ENGINES = "test_engines.py::test_"
FIGURES = "test_figures.py::test_"
FUND = "test_fund.py::test_"
METRICS = "test_metrics.py::test_"
REPORT = "test_report.py::test_"
SOLVING = "test_solve.py::test_"
SWEEPS = "test_sweep.py::test_"
TWIN = "test_twin.py::test_twin_and_kernels_agree_on_whole_deals"

ON_THE_BOUND = CLOSED + "a_share_exactly_on_its_bound_is_paid_and_one_below_is_not"
TABLE = CLOSED + "a_table_pays_steps_or_straight_lines_and_a_point_belongs_to_the_better_side"
CAPS = CLOSED + "caps_of_the_contract_and_of_the_year"
CHAIN = CLOSED + "milestones_and_evidence_are_a_binomial_of_the_product_of_their_chances"
ARM = CLOSED + "the_comparison_arm_adds_the_variance_of_its_effective_size_and_its_bias"
REPORTED = CLOSED + "what_is_reported_of_a_card_is_the_closed_form_and_its_standard_error"
FRAILTY = ENGINES + "frailty_keeps_the_margins_and_gives_the_covariances_of_theory"
KINDS = ENGINES + "every_kind_of_outcome_has_the_same_moments_in_both_engines"
CLAUSES = "test_clauses.py::test_"
PAYERS = "test_payers.py::test_"
ENDINGS = "test_endings.py::test_"
SAMPLING = "test_sampling.py::test_"
PRICES = "test_prices.py::test_"
GUARANTORS = "test_finance.py::test_several_guarantors_pay_in_the_order_of_the_file"
PER_PERSON = ENGINES + "the_cap_per_person_is_by_date_then_by_the_card_in_every_case_of_two_people"

FAULTS = [
    # chance
    Fault(
        "a uniform that can be zero",
        "chance.py",
        "return (float(bits) + 0.5) * _ULP",
        "return float(bits) * _ULP",
        (CHANCE + "test_the_extreme_words_stay_inside_the_unit_interval",),
    ),
    Fault(
        "nine rounds of Philox for ten",
        "chance.py",
        "    for _ in range(10):\n        product_0",
        "    for _ in range(9):\n        product_0",
        (CHANCE + "test_philox_gives_the_known_answers_of_random123",),
    ),
    Fault(
        "nine rounds of Philox for ten, many blocks at once",
        "chance.py",
        "        for _ in range(10):\n            left",
        "        for _ in range(9):\n            left",
        (CHANCE + "test_many_blocks_at_once_are_those_of_one_by_one",),
    ),
    Fault(
        "negative binomial with twice the overdispersion",
        "chance.py",
        "    variance = mean * (1.0 + ratio)\n",
        "    variance = mean * (1.0 + 2.0 * ratio)\n",
        (CHANCE + "test_quantiles_equal_those_of_scipy",),
    ),
    Fault(
        "a power of the chance of failure with a factor too few",
        "chance.py",
        "        q *= q\n",
        "        q *= 1.0 - p\n",
        (CHANCE + "test_quantiles_equal_those_of_scipy",),
    ),
    Fault(
        "a count on a jump, found from the failures, is one too many",
        "chance.py",
        "total < u or (beyond and total == u)",
        "total < u",
        (CHANCE + "test_a_count_on_a_jump_is_the_one_that_reaches_it",),
    ),
    # parameters and run
    Fault(
        "every block draws the same parameters",
        "parameters.py",
        "chance.uniforms(keys[index], start, number, 0)",
        "chance.uniforms(keys[index], 0, number, 0)",
        ("test_twin.py::test_explain_tells_any_draw_of_any_deal", CLOSED + "draws_do_not_repeat_from_block_to_block"),
    ),
    Fault(
        "every block has the same luck",
        "run.py",
        "shared.outcomes(start + low, values[low:high], alike)",
        "shared.outcomes(low, values[low:high], alike)",
        (CLOSED + "draws_do_not_repeat_from_block_to_block",),
    ),
    Fault(
        "additional outcomes of a bad thing with the wrong sign",
        "draws.py",
        "table[o].better * (totals[d, o, 1] - totals[d, o, 2])",
        "(totals[d, o, 1] - totals[d, o, 2])",
        (TWIN, CLOSED + "fewer_of_a_bad_thing_are_additional"),
    ),
    Fault(
        "cap per person: outcomes of one day in reverse order of the card",
        "draws.py",
        "one.when[caps.outcome[low + order[i - 1]], 0] > when:",
        "one.when[caps.outcome[low + order[i - 1]], 0] >= when:",
        (PER_PERSON,),
    ),
    Fault(
        "cap per person: the second tile of a block starts again with its first people",
        "draws.py",
        "                row = stop\n",
        "                row = stop\n                end = row\n",
        (ENGINES + "the_cap_per_person_is_that_of_each_of_many_people",),
    ),
    Fault(
        "people of a second tile have the luck of the first",
        "outcomes.py",
        "            person += number\n",
        "            person += 0\n",
        (ENGINES + "everybody_of_a_large_cohort_has_the_luck_of_their_own_address",),
    ),
    Fault(
        "deadweight reported as its complement",
        "run.py",
        "metrics.estimate(1.0 - share, error)",
        "metrics.estimate(share, error)",
        (REPORTED,),
    ),
    # outcomes
    Fault(
        "turnout rounded down",
        "outcomes.py",
        "n = math.floor(v[cohort.people_at] * v[cohort.referrals_at] + 0.5)",
        "n = math.floor(v[cohort.people_at] * v[cohort.referrals_at])",
        (CLOSED + "people_are_referred_evenly_in_whole_people",),
    ),
    Fault(
        "cumulative referral rounding lost",
        "outcomes.py",
        "people[b] = each + (carried >= parts)",
        "people[b] = each",
        (CLOSED + "people_are_referred_evenly_in_whole_people",),
    ),
    Fault(
        "lags from the end of the period of referral",
        "outcomes.py",
        "math.ceil(months / months_a_step - 0.5 - 1e-9)",
        "math.ceil(months / months_a_step - 1e-9)",
        (CLOSED + "an_outcome_counts_up_to_the_last_claim_and_not_after_it",),
    ),
    Fault(
        "a step is dated from referral, not from the step before",
        "outcomes.py",
        "months[o] += months[row.parent]",
        "months[o] += 0.0",
        (CLOSED + "a_step_is_known_after_the_times_of_all_steps_before_it",),
    ),
    Fault(
        "last claim off by one period",
        "outcomes.py",
        "if when[o, b] <= cohorts[c].claim:",
        "if when[o, b] < cohorts[c].claim:",
        (CLOSED + "an_outcome_counts_up_to_the_last_claim_and_not_after_it",),
    ),
    Fault(
        "an effect in units read as a share",
        "outcomes.py",
        "without + effect if row.effect_is_units else without * (1.0 + effect)",
        "without * (1.0 + effect)",
        (CLOSED + "the_group_threshold_pays_with_the_binomial_tail",),
    ),
    Fault(
        "frailty not applied",
        "outcomes.py",
        "sigma = math.sqrt(rho / (1.0 - rho)) * math.pi / math.sqrt(3.0)",
        "sigma = 0.0 * rho",
        (FRAILTY,),
    ),
    Fault(
        "frailty on the probit scale",
        "outcomes.py",
        "sigma = math.sqrt(rho / (1.0 - rho)) * math.pi / math.sqrt(3.0)",
        "sigma = math.sqrt(rho / (1.0 - rho))",
        (FRAILTY,),
    ),
    Fault(
        "a later step not averaged over those who came so far",
        "outcomes.py",
        "eligible[k] = weight[k] if row.parent < 0 else survival[row.parent, k, side]",
        "eligible[k] = weight[k]",
        (FRAILTY,),
    ),
    Fault(
        "a step instead of another not averaged over those who are left",
        "outcomes.py",
        "eligible[k] *= 1.0 - chance[row.instead, k]",
        "eligible[k] *= 1.0",
        (FRAILTY,),
    ),
    Fault(
        "people without their frailty",
        "outcomes.py",
        "class_of[i] += np.uint32(u[i] > mass)",
        "class_of[i] = 4",
        (KINDS, FRAILTY),
    ),
    Fault(
        "people without the service do as with it",
        "outcomes.py",
        "_find_limits(limit[o, 1, :classes], class_of, other)",
        "_find_limits(limit[o, 0, :classes], class_of, other)",
        (KINDS,),
    ),
    Fault(
        "the chance of the word at the limit",
        "outcomes.py",
        "np.uint8(word[i] < limit[i])",
        "np.uint8(word[i] <= limit[i])",
        ("test_engines.py::test_words_below_the_limit_are_the_uniforms_below_the_chance",),
    ),
    Fault(
        "pence lost where people have a cap",
        "clauses.py",
        "money == math.floor(money)",
        "money >= math.floor(money)",
        ("test_engines.py::test_the_cap_per_person_is_that_of_each_of_many_people",),
    ),
    Fault(
        "totals: a step instead of another open to those who took the other",
        "outcomes.py",
        "served -= with_k[row.instead, k]",
        "served -= 0.0",
        (CHAIN,),
    ),
    Fault(
        "bias of the comparison arm missing",
        "outcomes.py",
        "cohorts[c].years) * (1.0 + v[row.arm_bias_at])",
        "cohorts[c].years)",
        (ARM,),
    ),
    Fault(
        "comparison arm at its nominal size",
        "outcomes.py",
        "effective = math.floor(size * v[row.arm_share_at] + 0.5)",
        "effective = math.floor(size + 0.5)",
        (ARM,),
    ),
    Fault(
        "dispersion of a person taken for that of a cohort",
        "outcomes.py",
        "negative_binomial_quantile(u, people * v[row.dispersion_at], people * level)",
        "negative_binomial_quantile(u, v[row.dispersion_at], people * level)",
        (CLOSED + "events_have_the_mean_and_the_variance_of_the_negative_binomial",),
    ),
    Fault(
        "missing evidence applied twice",
        "outcomes.py",
        "accepted = float(binomial_quantile(u, int(true), 1.0 - missing))",
        "accepted = float(binomial_quantile(u, int(true), (1.0 - missing) * (1.0 - missing)))",
        (CHAIN,),
    ),
    Fault(
        "mistaken evidence for those who have the outcome",
        "outcomes.py",
        "binomial_quantile(u, int(pool - true), mistaken)",
        "binomial_quantile(u, int(pool), mistaken)",
        (CHAIN,),
    ),
    Fault(
        "a yearly chance read as an intensity",
        "outcomes.py",
        "/ math.log(1.0 - chance)",
        "/ -chance",
        (CLOSED + "a_yearly_chance_of_policy_change_leaves_a_geometric_share_of_cohorts",),
    ),
    Fault(
        "no regression to the mean",
        "outcomes.py",
        "level += (1.0 - v[row.persistence_at]) * (v[row.normal_at] - v[row.before_at])",
        "level += 0.0",
        ("test_kinds.py::test_people_return_towards_what_is_normal_for_them",),
    ),
    Fault(
        "clusters as large as the cohort",
        "outcomes.py",
        "max(0.0, min(v[row.cluster_size_at], people) - 1.0)",
        "max(0.0, people - 1.0)",
        ("test_kinds.py::test_clusters_multiply_the_variance_by_the_design_effect",),
    ),
    Fault(
        "the baseline follows the trend",
        "outcomes.py",
        "share = v[row.resets_share_at] if row.resets_share_at >= 0 else 0.0",
        "share = 1.0",
        ("test_kinds.py::test_a_baseline_that_resets_makes_good_a_share_of_the_gap_at_each_date",),
    ),
    Fault(
        "one size of amounts for all",
        "outcomes.py",
        "return gamma_quantile(w, some * shape), shape",
        "return gamma_quantile(w, shape) * some, shape",
        ("test_kinds.py::test_an_amount_has_the_variance_of_a_compound",),
    ),
    Fault(
        "the effect is learned from the first cohort on",
        "outcomes.py",
        "_grown(v[row.learning_at], float(number))",
        "_grown(v[row.learning_at], float(number + 1))",
        ("test_kinds.py::test_the_effect_grows_or_wears_off_from_cohort_to_cohort",),
    ),
    Fault(
        "those who leave had the effect",
        "outcomes.py",
        "stay = 1.0 - v[cohorts[c].attrition_at]",
        "stay = 1.0",
        ("test_kinds.py::test_those_who_leave_are_counted_at_the_level_without_the_service",),
    ),
    Fault(
        "nodes of frailty twice as far apart",
        "outcomes.py",
        "math.exp(-sigma * GAUSS_HERMITE_NODES[node])",
        "math.exp(-2.0 * sigma * GAUSS_HERMITE_NODES[node])",
        (FRAILTY,),
    ),
    Fault(
        "every cohort has the luck of the first",
        "outcomes.py",
        "known[0], known[1] = u, -1.0",
        "known[0] = u",
        ("test_kinds.py::test_each_cohort_and_each_level_has_the_spread_of_its_own",),
    ),
    Fault(
        "one factor of a cohort with the service and without it, whatever clusters add",
        "outcomes.py",
        "if known[1] != 1.0 / variance:",
        "if known[1] < 0.0:",
        ("test_kinds.py::test_each_cohort_and_each_level_has_the_spread_of_its_own",),
    ),
    # clauses
    Fault(
        "a bound just missed by rounding is not met",
        "clauses.py",
        "return value >= bound - slack",
        "return value >= bound",
        (ON_THE_BOUND, "test_bounds.py::test_exactly_ten_per_cent_fewer_pays"),
    ),
    Fault(
        "at least read as more than",
        "clauses.py",
        "return value >= bound - slack",
        "return value > bound + slack",
        (CLOSED + "the_group_threshold_pays_with_the_binomial_tail", ON_THE_BOUND),
    ),
    Fault(
        "a reduction with the wrong sign",
        "clauses.py",
        "difference = row.sign * (ours - base)",
        "difference = ours - base",
        (ON_THE_BOUND,),
    ),
    Fault(
        "pooled over people who did not run",
        "clauses.py",
        "        if people_in[c] <= 0.0:\n            continue\n",
        "",
        ("test_bounds.py::test_a_cohort_of_nobody_leaves_the_pooled_measure_known",),
    ),
    Fault(
        "straight line as steps",
        "clauses.py",
        "    if clause.straight:",
        "    if clause.straight and level < 0.0:",
        (TABLE,),
    ),
    Fault(
        "cap per person not applied",
        "clauses.py",
        "left[:people] = limit",
        "left[:people] = 2.0**40",
        (PER_PERSON,),
    ),
    # Sobol points
    Fault(
        "every randomisation is scrambled alike",
        "sobol.py",
        "_scrambled(x, words[j, r, 0], words[j, r, 1], words[j, r, 2])",
        "_scrambled(x, words[j, 0, 0], words[j, 0, 1], words[j, 0, 2])",
        (SAMPLING + "randomisations_differ_and_are_uniform",),
    ),
    Fault(
        "axes are turned half as far",
        "sobol.py",
        "along[d] *= 2.0 / square",
        "along[d] *= 1.0 / square",
        (SAMPLING + "turning_keeps_uniforms_uniform_and_independent_and_puts_the_sum_first",),
    ),
    Fault(
        "Sobol points have the error of independent draws",
        "metrics.py",
        "            return between_randomisations(self.shares)\n        return self.sd",
        "            pass\n        return self.sd",
        (SAMPLING + "a_smooth_mean_is_found_with_a_far_smaller_error",),
    ),
    Fault(
        "columns that act together keep axes of their own",
        "sampling.py",
        "abs(along[j]) >= ALIKE * size[j]",
        "abs(along[j]) >= 2.0 * ALIKE * size[j] or j == lead",
        (
            SAMPLING + "what_decides_a_trigger_together_shares_an_axis",
            SAMPLING + "turned_axes_halve_the_variance_of_what_several_sums_decide",
        ),
    ),
    Fault(
        "axes are turned against the luck that lowers an answer",
        "sampling.py",
        "found.append((alike, along[alike]))",
        "found.append((alike, np.abs(along[alike])))",
        (
            SAMPLING + "columns_whose_influences_are_alike_share_an_axis",
            SAMPLING + "turned_axes_halve_the_variance_of_what_several_sums_decide",
        ),
    ),
    Fault(
        "the axes follow the structures that are asked for",
        "run.py",
        "suits = plan.structure_names if self.suits is None else self.suits",
        "suits = self.names if self.suits is None else self.suits",
        (SAMPLING + "the_axes_are_those_of_the_deal_whatever_is_asked",),
    ),
    Fault(
        "influences have the wrong sign",
        "run.py",
        "scores = ndtri(pilot.source.untouched(0, number))",
        "scores = ndtri(1.0 - pilot.source.untouched(0, number))",
        (SAMPLING + "influences_are_covariances_with_normal_quantiles",),
    ),
    Fault(
        "a thread keeps the points of its last block",
        "run.py",
        "if start < drawn.start or start + number > drawn.start + len(drawn.u):",
        "if number > len(drawn.u):",
        (SAMPLING + "draws_are_extended_and_threads_move_nothing",),
    ),
    Fault(
        "points are made for the values and again for the luck",
        "run.py",
        "if start < drawn.start or start + number > drawn.start + len(drawn.u):",
        "if start != drawn.start or number != len(drawn.u):",
        (SAMPLING + "the_points_of_a_block_are_made_once",),
    ),
    Fault(
        "a month without the service has luck of its own",
        "outcomes.py",
        "u = binomial_uniform(uniform_of_words(w2, w3), some, people, p)",
        "u = uniform_of_words(w2, w3)",
        (
            SAMPLING + "months_with_and_without_the_service_have_their_joint_law",
            SAMPLING + "months_with_and_without_the_service_are_of_one_uniform",
            SAMPLING + "deadweight_is_the_same_under_both",
        ),
    ),
    Fault(
        "a cohort's total is not used up by its months",
        "outcomes.py",
        "left[o, 1] -= int(with_k[o, 0])",
        "left[o, 1] -= 0",
        (SAMPLING + "the_total_of_a_small_cohort_is_drawn_first_and_split_over_its_months",),
    ),
    Fault(
        "where a count lies on its step is told by the uniform that drew it",
        "outcomes.py",
        "binomial_uniform(uniform_of_words(w2, w3), some, people, p)",
        "binomial_uniform(uniform_of_words(w0, w1), some, people, p)",
        (SAMPLING + "months_with_and_without_the_service_have_their_joint_law",),
    ),
    Fault(
        "failures stand on their step the wrong way up",
        "chance.py",
        "1.0 - _up_the_jump(1.0 - w, n - k, n, q, p)",
        "1.0 - _up_the_jump(w, n - k, n, q, p)",
        (CHANCE + "test_a_uniform_of_a_count_lies_on_its_step",),
    ),
    Fault(
        "a count stands one step too low",
        "chance.py",
        "return below + w * term",
        "return below - w * term",
        (
            CHANCE + "test_a_uniform_of_a_count_lies_on_its_step",
            SAMPLING + "months_with_and_without_the_service_have_their_joint_law",
        ),
    ),
    Fault(
        "the fewest that may be marked are forgotten",
        "chance.py",
        "return least + k",
        "return k",
        ("test_chance.py::test_hypergeometric_quantiles_are_those_of_scipy",),
    ),
    Fault(
        "all draws beside each other plan like the first",
        "abreast.py",
        "alike = alike and lane[AHEAD + i] == lane[AHEAD]",
        "alike = True",
        (ABREAST + "capital_called_differently_far_ahead_and_service_ended_at_different_times",),
    ),
    Fault(
        "service beside each other ends when the first does",
        "abreast.py",
        """            stop = lane[STOP + i]
""",
        """            stop = lane[STOP]
""",
        (ABREAST + "capital_called_differently_far_ahead_and_service_ended_at_different_times",),
    ),
    Fault(
        "money of the draws before stays on the sheet",
        "abreast.py",
        """                sheet[t, i] = 0.0
""",
        """                sheet[t, i] += 0.0
""",
        (ABREAST + "a_draw_is_settled_alike_whatever_stands_beside_it",),
    ),
    Fault(
        "what was added up stays in the lane",
        "abreast.py",
        "            lane[i] = 0.0",
        "            lane[i] += 0.0",
        (ABREAST + "a_draw_is_settled_alike_whatever_stands_beside_it",),
    ),
    Fault(
        "costs do not rise side by side",
        "abreast.py",
        "sheet[t, DELIVERY + i] *= factor",
        "sheet[t, DELIVERY + i] *= 1.0",
        (ABREAST + "generated_deals_are_settled_alike_side_by_side_and_alone",),
    ),
    Fault(
        "costs by the person go on after the stop",
        "abreast.py",
        "sheet[t, PEOPLE + i] if t <= lane[STOP + i] else 0.0",
        "sheet[t, PEOPLE + i]",
        (ABREAST + "costs_by_the_person_end_with_the_service",),
    ),
    Fault(
        "the reserve is held to the end",
        "abreast.py",
        "reserve = lane[RESERVE + i] if t <= stop and t < last else 0.0",
        "reserve = lane[RESERVE + i]",
        (ABREAST + "a_reserve_and_capital_called_at_once_are_settled_alike",),
    ),
    Fault(
        "capital called at once is half of it",
        "abreast.py",
        "sheet[0, NEED + i] = lane[COMMITMENT + i]",
        "sheet[0, NEED + i] = 0.5 * lane[COMMITMENT + i]",
        (ABREAST + "a_reserve_and_capital_called_at_once_are_settled_alike",),
    ),
    Fault(
        "the capital of the period before is not taken off",
        "abreast.py",
        """            lane[BEFORE + i] = in_hand
""",
        """            lane[BEFORE + i] = 0.0
""",
        (ABREAST + "real_deals_are_settled_alike_side_by_side_and_alone",),
    ),
    Fault(
        "paid back as soon as once",
        "abreast.py",
        "goes_on = 0.0 if balance < -1e-9 * lane[PAID_IN + i] else lane[GOES_ON + i]",
        "goes_on = lane[GOES_ON + i]",
        (ABREAST + "real_deals_are_settled_alike_side_by_side_and_alone",),
    ),
    Fault(
        "a deal with breaks is played side by side",
        "abreast.py",
        "terms.breaks.size == terms.accounts",
        "terms.accounts",
        (ABREAST + "what_looks_back_or_ends_the_service_is_not_settled_side_by_side",),
    ),
    Fault(
        "a hurdle is played side by side",
        "abreast.py",
        """        and (terms.clauses["until"] == NO_END).all()
""",
        "",
        ("test_endings.py::test_a_share_of_savings_that_changes_once_investors_have_had_their_return",),
    ),
    Fault(
        "capital called without counting cash in hand",
        "abreast.py",
        "call = min(need - cash, left)",
        "call = min(need, left)",
        (ABREAST + "real_deals_are_settled_alike_side_by_side_and_alone",),
    ),
    Fault(
        "all of the surplus to the investors",
        "abreast.py",
        "got = repaid + lane[SHARE + i] * (free - repaid)",
        "got = repaid + (free - repaid)",
        (CLOSED + "the_surplus_is_shared_after_capital_is_back",),
    ),
    Fault(
        "a yearly cost in every period",
        "waterfall.py",
        "min(final, skip[0] - 1) + 1):\n            row[t] += amount / a_year",
        "min(final, skip[0] - 1) + 1):\n            row[t] += amount",
        (TWIN,),
    ),
    # ledger
    Fault(
        "interest of a whole term is simple",
        "waterfall.py",
        "worth = worth * growth - flows[s]\n    return",
        "worth = worth - flows[s]\n    return",
        ("test_finance.py::test_interest_at_maturity_is_compounded_over_the_whole_term",),
    ),
    Fault(
        "what the provider advanced is never repaid",
        "abreast.py",
        """            back = min(cash, owes)
""",
        """            back = 0.0
""",
        (CLOSED + "what_the_provider_advanced_is_repaid_before_the_investors",),
    ),
    Fault(
        "receipts recycled where the deal says not",
        "ledger.py",
        "held_ahead = T if finance.recycled == 1 or all_at_once else ahead",
        "held_ahead = T",
        (CLOSED + "receipts_are_recycled_only_where_the_deal_says_so",),
    ),
    Fault(
        "payments a period early",
        "ledger.py",
        """        at = min(t + lag, T)
        payable""",
        """        at = min(t + max(lag - 1, 0), T)
        payable""",
        (CLOSED + "rate_of_return_multiple_payback_and_present_values_by_hand",),
    ),
    Fault(
        "contract cap forgets what was paid",
        "ledger.py",
        "room = max(v[terms.contract_cap_at] - totals[0], 0.0)",
        "room = v[terms.contract_cap_at]",
        (CAPS,),
    ),
    Fault(
        "cap of the year never renewed",
        "ledger.py",
        "            totals[1] = 0.0\n            purses.in_year[:] = 0.0\n",
        "            purses.in_year[:] = 0.0\n",
        (CAPS,),
    ),
    Fault(
        "carried forward twice",
        "ledger.py",
        "                so_far[k, CARRIED] = 0.0\n",
        "",
        (CAPS,),
    ),
    Fault(
        "unless ignored",
        "ledger.py",
        "(triggered & clause.unless) != 0 or",
        "(triggered & clause.unless) < 0 or",
        (CLOSED + "a_clause_falls_away_where_another_was_triggered_and_not_where_it_was_not",),
    ),
    Fault(
        "discounted by the year in every period",
        "ledger.py",
        "discount = (1.0 + payer_rate) ** (-1.0 / calendar.a_year)\n    payments = 0.0",
        "discount = (1.0 + payer_rate) ** (-1.0)\n    payments = 0.0",
        (TWIN, CLOSED + "present_values_by_quarters"),
    ),
    Fault(
        "a fee from the second period of service",
        "ledger.py",
        "return amount / length if first <= t <= min(last, stop) else 0.0",
        "return amount / length if first < t <= min(last, stop) else 0.0",
        (CLOSED + "a_fee_is_paid_over_the_service",),
    ),
    Fault(
        "all paid outcomes taken as additional",
        "ledger.py",
        "real += pay * additional / counted",
        "real += pay",
        (REPORTED,),
    ),
    Fault(
        "no capital called ahead of the first period",
        "ledger.py",
        "flows[INVESTOR, 0] -= call_capital(v, tranches, finance.in_turn, need, now, capital, paper, till)",
        "flows[INVESTOR, 0] -= 0.0",
        (CLOSED + "rate_of_return_multiple_payback_and_present_values_by_hand",),
    ),
    # metrics
    Fault(
        "a total loss has no rate of return",
        "metrics.py",
        "return -1.0, TOTAL_LOSS",
        "return math.nan, TOTAL_LOSS",
        (
            METRICS + "a_total_loss_is_minus_one_and_never_dropped",
            CLOSED + "a_missed_bound_is_a_total_loss_and_no_missing_return",
        ),
    ),
    Fault(
        "a multiple of exactly one is a loss",
        "metrics.py",
        "return multiple_of_capital < 1.0 - LOSS_TOLERANCE",
        "return multiple_of_capital <= 1.0",
        (METRICS + "a_multiple_of_exactly_one_returns_zero_and_is_no_loss",),
    ),
    Fault(
        "present value from the end of the first period",
        "metrics.py",
        "        value += factor * flows[t]\n        factor *= v\n",
        "        factor *= v\n        value += factor * flows[t]\n",
        (CLOSED + "rate_of_return_multiple_payback_and_present_values_by_hand",),
    ),
    Fault(
        "payback in periods",
        "metrics.py",
        "return since / periods_per_year",
        "return since",
        (METRICS + "payback_is_when_the_money_is_back_for_good",),
    ),
    # plan
    Fault(
        "unless points at the wrong clause",
        "plan.py",
        '"unless": sum(bits[other] for other in set(clause.unless))',
        '"unless": 2 * sum(bits[other] for other in set(clause.unless))',
        (CLOSED + "a_clause_falls_away_where_another_was_triggered_and_not_where_it_was_not",),
    ),
    Fault(
        "a cohort that does not run when cut short runs",
        "plan.py",
        'reach = ends if each.if_cut_short == "does not run" else last',
        "reach = last",
        ("test_bounds.py::test_a_cohort_cut_short_counts_as_its_rule_says_also_when_kept_by_periods",),
    ),
    Fault(
        "the comparison arm's size per person taken as a number",
        "plan.py",
        'int(arm is not None and arm.people.form == "per person")',
        "0",
        (ARM,),
    ),
    # worth, comparisons, the budget
    Fault(
        "a saving before its time",
        "worth.py",
        "* discount ** (out.when[d, o, b] + after)",
        "* discount ** out.when[d, o, b]",
        (
            COMPARED + "a_saving_that_comes_once_is_worth_its_discounted_amount",
            BY_HAND,
        ),
    ),
    Fault(
        "optimism is added",
        "worth.py",
        "kept = 1.0 - v[row.bias_at]",
        "kept = 1.0 + v[row.bias_at]",
        (COMPARED + "a_saving_by_the_year_lasts_as_long_as_it_says",),
    ),
    Fault(
        "worths that overlap are added",
        "worth.py",
        "        if worths[j].group < 0:",
        "        if worths[j].group < 9:",
        (
            COMPARED + "of_savings_that_overlap_the_largest_counts",
            BY_HAND,
        ),
    ),
    Fault(
        "what would have happened anyway is worth something",
        "worth.py",
        "added[b] = outcomes[o].better * (out.counts[d, o, b, TRUE] - out.counts[d, o, b, WITHOUT])",
        "added[b] = outcomes[o].better * out.counts[d, o, b, TRUE]",
        (COMPARED + "no_effect_is_worth_exactly_nothing_in_every_draw",),
    ),
    Fault(
        "people after the stop are worth something",
        "worth.py",
        "                if blocks[b].reach <= stops[d]:\n                    added[b]",
        "                if blocks[b].reach >= 0:\n                    added[b]",
        (BY_HAND,),
    ),
    Fault(
        "effectiveness multiplies the chance of a chain",
        "parameters.py",
        "without + times * (served - without)",
        "times * served",
        (COMPARED + "an_uncertain_effectiveness_multiplies_the_effect",),
    ),
    Fault(
        "additional outcomes of another effectiveness",
        "run.py",
        "additional[name][low:high] = own[:, :, 3]",
        "additional[name][low:high] = alike[2][:, :, 3]",
        (COMPARED + "an_uncertain_effectiveness_multiplies_the_effect",),
    ),
    Fault(
        "idle cash belongs to nobody",
        "ledger.py",
        "capital_pv += factor * (flows[INVESTOR, t] + flows[VEHICLE, t] - in_hand)",
        "capital_pv += factor * flows[INVESTOR, t]",
        (COMPARED + "the_parts_of_the_cost_add_up_to_the_paired_difference",),
    ),
    Fault(
        "risk transferred with the wrong sign",
        "compare.py",
        "np.where(below, saved, np.nan)",
        "np.where(below, -saved, np.nan)",
        (COMPARED + "what_is_transferred_and_what_is_paid_for_it_add_up_to_the_payments",),
    ),
    Fault(
        "owed in the year of termination, too",
        "compare.py",
        "cash[:, y + 1 :].sum(axis=1)",
        "cash[:, y:].sum(axis=1)",
        (COMPARED + "what_is_owed_after_a_termination_is_what_the_twin_owes",),
    ),
    Fault(
        "late payments are in no year's maximum",
        "budget.py",
        "min(t + self.latest, self.T) >= periods[0]",
        "t >= periods[0]",
        (COMPARED + "a_contractual_maximum_worked_by_hand",),
    ),
    Fault(
        "a volume is counted anew in every period",
        "ledger.py",
        "max(before + referred[t] - free, 0.0) - max(before - free, 0.0)",
        "max(referred[t] - free, 0.0)",
        (COMPARED + "a_fee_may_be_a_block_spot_or_cost_and_volume",),
    ),
    # composed measures and further clauses
    Fault(
        "a p-value of the wrong side",
        "clauses.py",
        "0.5 * math.erfc(of.sign * difference",
        "0.5 * math.erfc(-of.sign * difference",
        (CLAUSES + "significance_at_a_stated_level",),
    ),
    Fault(
        "a p-value without the variance of the comparison arm",
        "clauses.py",
        "n * (1.0 + n / arms[o, c, 1])",
        "n",
        (CLAUSES + "the_p_value_of_shares_is_the_z_test_of_two_proportions",),
    ),
    Fault(
        "a ratio to nothing is infinite",
        "clauses.py",
        "value / x if x > 0.0 else np.nan",
        "value / x",
        (CLAUSES + "a_ratio_to_nothing_is_not_known",),
    ),
    Fault(
        "rounding down without slack",
        "clauses.py",
        "np.floor(steps + slack) if how == DOWN",
        "np.floor(steps) if how == DOWN",
        (CLAUSES + "a_result_on_a_step_but_for_rounding_stays_on_it",),
    ),
    Fault(
        "bands that never end",
        "clauses.py",
        "end = level if i + 1 == clause.end_point else min(level, v[points[i + 1].level_at])",
        "end = level",
        (CLAUSES + "an_amount_of_each_kind",),
    ),
    Fault(
        "an earlier trigger that was needed is not asked for",
        "ledger.py",
        "clause.only_if != 0 and (triggered & clause.only_if) == 0",
        "False",
        (CLAUSES + "only_if_an_earlier_trigger_was_met",),
    ),
    Fault(
        "what was paid before is not taken off",
        "ledger.py",
        "raw -= totals[2 + j]",
        "raw -= 0.0",
        (CLAUSES + "less_what_was_paid_before_under_other_clauses_and_itself",),
    ),
    Fault(
        "amounts are indexed from the end of the period",
        "ledger.py",
        "(t * step - 1.0 - base) / 12.0",
        "(t * step - base) / 12.0",
        (CLAUSES + "prices_for_participants_and_fees_are_indexed_too",),
    ),
    Fault(
        "one of several conditions counts as all",
        "ledger.py",
        "one_holds = one_holds or holds",
        "one_holds = holds",
        (CLAUSES + "and_and_or", TWIN),
    ),
    Fault(
        "a clause for each participant is for all cohorts",
        "ledger.py",
        "or not _is_for(clauses[k].cohorts, blocks[b].cohort):",
        "or False:",
        (CLAUSES + "an_uplift_for_a_priority_group_is_a_clause_for_its_cohort",),
    ),
    Fault(
        "what is owed is not rounded",
        "ledger.py",
        "if clause.rounded != NOT_ROUNDED:",
        "if False:",
        (CLAUSES + "what_is_owed_is_rounded_as_stated",),
    ),
    Fault(
        "a payer's limit is one of each payment",
        "payers.py",
        "purses.spent[p] += amount",
        "purses.spent[p] = amount",
        (PAYERS + "payers_by_layer_by_phase_and_by_share",),
    ),
    Fault(
        "a payer pays after its time",
        "payers.py",
        "if row.share_at < 0 and row.first <= t <= row.last and",
        "if row.share_at < 0 and row.first <= t and",
        (PAYERS + "payers_by_layer_by_phase_and_by_share",),
    ),
    Fault(
        "payers bear their own costs at any time",
        "payers.py",
        "    if not rows[p].first <= t <= rows[p].last:\n",
        "    if rows[p].first < 0:\n",
        (PAYERS + "costs_of_each_payer_by_year",),
    ),
    Fault(
        "no minimum payment",
        "ledger.py",
        "amount = max(amount, v[clause.least_at])",
        "amount = max(amount, 0.0)",
        (CLAUSES + "a_minimum_payment_where_the_trigger_is_met",),
    ),
    Fault(
        "parts of a measure over the cohorts so far are of one cohort",
        "plan.py",
        "self.index(part, so_far=so_far) for part",
        "self.index(part) for part",
        (CLAUSES + "a_measure_of_each_cohort",),
    ),
    Fault(
        "what is read of the cohorts so far does not wait for them",
        "ledger.py",
        "first = 0 if reads[i].so_far else c",
        "first = c",
        (CLAUSES + "a_cohort_waits_for_those_above_it_that_are_known_later",),
    ),
    # the end, what goes wrong, service agreements, accounts
    Fault(
        "a break takes any of its conditions for all",
        "ledger.py",
        "holds = holds and not np.isnan(value) and meets(value, check.sense, v[check.bound_at])",
        "holds = not np.isnan(value) and meets(value, check.sense, v[check.bound_at])",
        (ENDINGS + "a_review_reads_results_as_they_stand_with_notice_and_triggers", TWIN),
    ),
    Fault(
        "a break without notice",
        "ledger.py",
        "halt = t + math.ceil(v[terms.breaks[i].notice_at] / calendar.step - 1e-9)",
        "halt = t",
        (ENDINGS + "a_review_reads_results_as_they_stand_with_notice_and_triggers",),
    ),
    Fault(
        "a want of money is compensated",
        "plan.py",
        "return ~(1 << RAN | 1 << FOR_WANT_OF_MONEY)",
        "return ~(1 << RAN)",
        (ENDINGS + "want_of_money_is_not_compensated_and_winding_up_ends_claims",),
    ),
    Fault(
        "compensation is owed for any end",
        "ledger.py",
        "if t == stop + 1 and (clause.ended_by >> cause) & 1 == 1:",
        "if t == stop + 1 and cause != RAN:",
        (ENDINGS + "the_first_review_that_breaks_counts_and_only_its_compensation_is_owed",),
    ),
    Fault(
        "claims run off though they end",
        "ledger.py",
        """        if t > closed and clause.scope != CONTRACT:
            continue
""",
        "",
        (ENDINGS + "claims_may_end_with_the_period_after_the_last_of_service",),
    ),
    Fault(
        "costs so far leave out the period",
        "ledger.py",
        "till[SPENT] += due\n",
        "till[SPENT] += 0.0\n",
        (ENDINGS + "compensation_for_a_change_of_policy_by_each_account",),
    ),
    Fault(
        "an overrun is planned",
        "waterfall.py",
        "if cost.overrun_at >= 0 and not planning:",
        "if cost.overrun_at >= 0:",
        (ENDINGS + "an_overrun_is_not_planned",),
    ),
    Fault(
        "delivery costs what it costs without a provider",
        "waterfall.py",
        "skip = gap if cost.party in (PROVIDER, AGREED) else (periods + 2, periods + 1)",
        "skip = (periods + 2, periods + 1)",
        (ENDINGS + "a_failing_provider_is_replaced_and_nobody_is_referred_meanwhile",),
    ),
    Fault(
        "people are referred to nobody",
        "outcomes.py",
        "if gap[0] <= blocks[b].first <= gap[1]:",
        "if gap[0] < 0:",
        (
            ENDINGS + "a_failing_provider_is_replaced_and_nobody_is_referred_meanwhile",
            ENDINGS + "the_time_of_failure_is_exponential",
        ),
    ),
    Fault(
        "a failure is foreseen",
        "plan.py",
        "return column.high if column.path == never else column.quantity.mean()",
        "return column.quantity.mean()",
        (ENDINGS + "nobody_plans_for_a_failing_provider",),
    ),
    Fault(
        "the provider keeps the fee and its costs",
        "ledger.py",
        "flows[PROVIDERS, t] += flows[OWED_FOR_SERVICE, t] - flows[SERVICE, t]",
        "flows[PROVIDERS, t] += flows[OWED_FOR_SERVICE, t]",
        (ENDINGS + "what_the_provider_keeps_is_the_fee_less_its_own_costs",),
    ),
    Fault(
        "the provider advances fees that wait",
        "ledger.py",
        "flows[PROVIDERS, t] += later\n",
        "flows[PROVIDERS, t] += 0.0\n",
        (ENDINGS + "fees_wait_before_the_provider_advances_anything",),
    ),
    Fault(
        "what is on its way to investors counts for nothing",
        "ledger.py",
        "enough_for(v, clause, t, a_year, capital, paper) - on_its_way",
        "enough_for(v, clause, t, a_year, capital, paper)",
        (ENDINGS + "a_share_of_savings_that_changes_once_investors_have_had_their_return",),
    ),
    Fault(
        "beyond the hurdle the first share goes on",
        "ledger.py",
        "return need + (raw - need) * (v[clause.then_at] / v[clause.rate_at])",
        "return raw",
        (ENDINGS + "a_share_of_savings_that_changes_once_investors_have_had_their_return",),
    ),
    Fault(
        "additional outcomes of people who were never referred",
        "run.py",
        "    if cut.any():\n",
        "    if not cut.size:\n",
        (ENDINGS + "people_who_were_not_referred_are_no_additional_outcomes",),
    ),
    # questions
    Fault(
        "questions: a draw below the promise counted as one without effect",
        "triggers.py",
        "none &= effect <= 0.0",
        "none &= effect < each.reference",
        ("test_triggers.py::test_chances_given_that_a_trigger_was_met_are_those_of_the_closed_form",),
    ),
    Fault(
        "questions: a set effect stays correlated",
        "triggers.py",
        "joined=_joined_without_effects(self.plan, self.all)",
        "joined=self.plan.joined",
        ("test_triggers.py::test_an_effect_that_is_set_is_no_longer_correlated_just_as_in_the_file",),
    ),
    Fault(
        "questions: luck and measurement drawn again together, twice",
        "luck.py",
        "Replicates(measurement=1))",
        "Replicates(luck=1, measurement=1))",
        ("test_luck.py::test_the_variance_of_a_beta_binomial_is_split_exactly",),
    ),
    Fault(
        "questions: evidence of people is luck",
        "outcomes.py",
        "evidence_key = proof_keys[outcome.chain, c]",
        "evidence_key = key",
        ("test_luck.py::test_people_drawn_one_by_one_have_the_same_shares",),
    ),
    Fault(
        "questions: the total index without its interactions",
        "sensitivity.py",
        '"total": ratio(0.5 * (a - ab) ** 2, whole)',
        '"total": ratio((b - centre) * (ab - a), whole)',
        ("test_sensitivity.py::test_a_product_has_its_interaction_in_the_total_and_not_in_the_first_order",),
    ),
    Fault(
        "questions: correlated numbers have an index each",
        "sensitivity.py",
        "        if together is None:",
        "        if together is None or together:",
        ("test_sensitivity.py::test_correlated_inputs_have_one_index_and_are_refused_each",),
    ),
    Fault(
        "questions: rules valued on the draws of their fit",
        "information.py",
        "inside = (self.fold != f) & np.isin",
        "inside = (self.fold == f) & np.isin",
        ("test_information.py::test_what_has_no_influence_is_worth_nothing_at_a_tied_decision",),
    ),
    Fault(
        "questions: no products of what is known",
        "information.py",
        "        for a, i in enumerate(crossed):",
        "        for a, i in enumerate(crossed[:0]):",
        ("test_information.py::test_an_interaction_is_found_that_an_additive_rule_misses",),
    ),
    Fault(
        "questions: a pilot that shares the luck of the deal",
        "information.py",
        "Replicates(luck=replicate), change)",
        "Replicates(), change)",
        ("test_information.py::test_a_pilot_is_worth_what_its_posterior_is",),
    ),
    Fault(
        "questions: what is mandatory may be dropped",
        "dataplan.py",
        "advice if item.mandatory == NO else MUST",
        "advice",
        ("test_dataplan.py::test_advice_never_says_collect_and_never_drops_what_is_mandatory",),
    ),
    # variants, sweep, journal, solve, stress
    Fault(
        "a cap per person is only a term",
        "variants.py",
        "    if plan.people:\n        # people are settled",
        "    if not plan.people:\n        # people are settled",
        (SWEEPS + "every_cell_is_a_run_of_its_setting_to_the_bit",),
    ),
    Fault(
        "cells of other terms share their answers",
        "sweep.py",
        "lambda c, name=name: c not in foreign[name]",
        "lambda c, name=name: c in shaping",
        (SWEEPS + "every_cell_is_a_run_of_its_setting_to_the_bit",),
    ),
    Fault(
        "a damaged record is believed",
        "journal.py",
        "if zlib.crc32(payload) != checksum:",
        "if zlib.crc32(payload) < 0:",
        (SWEEPS + "a_journal_cut_off_or_damaged_anywhere_loses_only_what_is_behind",),
    ),
    Fault(
        "a journal that anybody may write to",
        "journal.py",
        "            _lock(self._file)\n",
        "",
        (SWEEPS + "two_sweeps_do_not_write_to_one_folder",),
    ),
    Fault(
        "a step is a solution",
        "solve.py",
        "    if jump > max(own, 0.5 * far,",
        "    if jump > 1e9 * max(own, 0.5 * far,",
        (SOLVING + "a_jump_beyond_the_error_is_a_step_and_one_within_it_is_not",),
    ),
    Fault(
        "an interval half as wide",
        "solve.py",
        "value.low <= 0.0 <= value.high",
        "value.low + value.value <= 0.0 <= value.high + value.value",
        (SOLVING + "the_root_of_a_line_and_its_interval",),
    ),
    Fault(
        "differences of draws that do not belong together",
        "stress.py",
        "gap = ours - theirs",
        "gap = ours - theirs[::-1]",
        (SOLVING + "differences_of_every_trigger_are_paired",),
    ),
    Fault(
        "a better counterfactual takes the served along",
        "stress.py",
        "rows[:, effect_at] = (1.0 + rows[:, effect_at]) * ratio - 1.0",
        "rows[:, effect_at] *= np.sign(ratio)",
        (SOLVING + "where_things_go_better_without_the_service_they_are_what_they_were_with_it",),
    ),
    Fault(
        "the payer likes costs and dislikes benefits",
        "stress.py",
        "difference(theirs[NET_BENEFIT], values[NET_BENEFIT])",
        "difference(values[NET_BENEFIT], theirs[NET_BENEFIT])",
        (SOLVING + "the_payer_is_judged_by_net_benefit_where_the_deal_has_values_and_by_cost_where_not",),
    ),
    Fault(
        "a driver improves by getting worse",
        "stress.py",
        "gap(driver.best, shares)",
        "gap(driver.worst, shares)",
        (SOLVING + "where_a_criterion_is_met_as_planned_it_is_said_how_far_a_driver_must_improve",),
    ),
    Fault(
        "what one draw met is met by the first",
        "ledger.py",
        "flags[d, k, number + 1] = any_met",
        "flags[0, k, number + 1] = any_met",
        (SOLVING + "triggers_of_each_draw_add_up_to_those_of_all",),
    ),
    Fault(
        "a shock on the numbers of another draw",
        "stress.py",
        "rows, _ = parameters.values(plan, simulation.value_keys, start, number)",
        "rows, _ = parameters.values(plan, simulation.value_keys, start + 1, number)",
        (SOLVING + "a_shock_of_outcomes_is_the_run_of_the_deal_with_that_number",),
    ),
    # prices
    Fault(
        "costs that rise a period too late",
        "ledger.py",
        "        factor = growth**t\n",
        "        factor = growth ** (t - 1)\n",
        (PRICES + "costs_rise_from_the_start_by_their_own_rate", TWIN),
    ),
    Fault(
        "the planned cost of ending does not rise",
        "ledger.py",
        "(1.0 - later) * rises**t",
        "(1.0 - later) * rises**0",
        (PRICES + "the_cost_of_ending_is_planned_in_prices_of_its_day",),
    ),
    Fault(
        "real prices that rise by whole years",
        "ledger.py",
        "return (1.0 + rate) ** (t * step / 12.0)",
        "return (1.0 + rate) ** math.floor(t * step / 12.0)",
        (TWIN,),
    ),
    Fault(
        "savings in real prices discounted at the nominal rate",
        "worth.py",
        "discount = rise * (1.0 + rate)",
        "discount = (1.0 + rate)",
        (PRICES + "savings_in_real_prices_are_discounted_at_the_real_rate",),
    ),
    # payers by year, guarantors, triggers of participants
    Fault(
        "a payer's limit of a year that is one for all years",
        "ledger.py",
        "            totals[1] = 0.0\n            purses.in_year[:] = 0.0\n",
        "            totals[1] = 0.0\n",
        (PAYERS + "a_payers_limit_of_a_year_is_lost_to_it_or_carried_forward",),
    ),
    Fault(
        "what a payer carries forward is lost",
        "payers.py",
        "purses.carried[p, k] += own - now",
        "purses.carried[p, k] += 0.0",
        (PAYERS + "a_payers_limit_of_a_year_is_lost_to_it_or_carried_forward",),
    ),
    Fault(
        "a guarantor's share is of the loss that others left",
        "waterfall.py",
        "amount = v[row.amount_at] * whole",
        "amount = v[row.amount_at] * loss",
        (GUARANTORS,),
    ),
    Fault(
        "a price a participant that heeds no trigger",
        "ledger.py",
        "met = quantity > 0.0 and not _falls_away(clause, triggered)",
        "met = quantity > 0.0",
        (CLAUSES + "a_price_a_participant_is_paid_once_a_hurdle_was_met",),
    ),
    Fault(
        "results that are due later are called missing",
        "settle.py",
        "if min(map(self._months_after, lacking)) <= upto:",
        "if min(map(self._months_after, lacking)) >= 0:",
        ("test_term_sheets.py::test_what_is_planned_to_be_known_later_is_not_yet_due_and_what_was_due_is_not_applied",),
    ),
    # pages, figures, workbooks
    # a fund that holds the paper
    Fault(
        "fund: fees are not paid in",
        "fund.py",
        "on_top += max(fees - max(flow, 0.0), 0.0)",
        "on_top += 0.0 * fees",
        (FUND + "what_a_fund_leaves_is_that_by_hand", TWIN),
    ),
    Fault(
        "fund: carry before the return",
        "fund.py",
        "share, excess = v[row.carry_at], inflow - need",
        "share, excess = v[row.carry_at], inflow",
        (FUND + "what_a_fund_leaves_is_that_by_hand", TWIN),
    ),
    Fault(
        "fund: the return forgets what the manager took",
        "fund.py",
        "        worth -= got\n",
        "        worth -= got + fees\n",
        (FUND + "a_return_that_forgot_the_fees_would_give_more_carry", TWIN),
    ),
    Fault(
        "fund: nobody catches up",
        "fund.py",
        "    if gap > 0.0:\n",
        "    if gap > 1e300:\n",
        (FUND + "what_a_fund_leaves_is_that_by_hand", TWIN),
    ),
    Fault(
        "fund: fees on what is outstanding after the period",
        "fund.py",
        "book[HELD, t - 1] if t > 0 else 0.0",
        "book[HELD, t]",
        (FUND + "what_a_fund_leaves_is_that_by_hand", TWIN),
    ),
    Fault(
        "fund: fees never end",
        "fund.py",
        "lasts = serving or outstanding > _DUST * commitment",
        "lasts = serving or outstanding > -1.0",
        (FUND + "what_a_fund_leaves_is_that_by_hand", TWIN),
    ),
    Fault(
        "fund: a fund holds every tranche",
        "fund.py",
        "return row.of in (ALL_TRANCHES, n)",
        "return row.of > -9",
        (FUND + "a_fund_may_hold_one_tranche", TWIN),
    ),
    Fault(
        "fund: net figures are gross",
        "ledger.py",
        "_measure_investor(v, calendar, book.fund[NET, : T + 1], called, profit, commitment, out)",
        "_measure_investor(v, calendar, book.flows[INVESTOR, : T + 1], called, profit, commitment, out)",
        (FUND + "what_a_fund_leaves_is_that_by_hand",),
    ),
    Fault(
        "fund: carry is reported as fees",
        "run.py",
        'OF_FUND = {"fees": book_of.FUND_FEES, "carry": book_of.FUND_CARRY}',
        'OF_FUND = {"fees": book_of.FUND_CARRY, "carry": book_of.FUND_FEES}',
        (FUND + "what_a_fund_leaves_is_that_by_hand",),
    ),
    Fault(
        "fund: settlement leaves the twin's own carry out",
        "holding.py",
        "self.flows.append(flow - fees - carry)",
        "self.flows.append(flow - fees)",
        (FUND + "what_a_fund_leaves_is_that_by_hand", TWIN),
    ),
    Fault(
        "look: the fund's own investors get the paper's money",
        "workbook.py",
        'f"={paper}-{fees}-{carry}"',
        'f"={paper}-{fees}"',
        (REPORT + "a_spreadsheet_recomputes_what_a_fund_leaves",),
    ),
    Fault(
        "look: gross figures in the column of net ones",
        "page.py",
        "[label, show(gross), show(net)]",
        "[label, show(gross), show(gross)]",
        (REPORT + "gross_and_net_stand_side_by_side_where_a_fund_is_stated",),
    ),
    Fault(
        "look: payers with rules are left out",
        "page.py",
        "parts += _payers_with_rules(dossier, payers)",
        "parts += []",
        (REPORT + "every_payer_has_its_cash_by_financial_year",),
    ),
    Fault(
        "look: a sample is judged by what is always paid",
        "page.py",
        "    if wrong(middle) < ALWAYS:\n",
        "    if wrong(middle) <= 1.0:\n",
        (REPORT + "the_sample_is_judged_by_a_clause_that_can_go_wrong",),
    ),
    Fault(
        "look: no effect on a chain leaves its later steps as they are",
        "terms.py",
        "among = self._without(str(follows)) - (",
        "among = self._with_service(str(follows)) - (",
        ("test_terms.py::test_no_effect_on_a_chain_is_another_chance_of_its_first_step",),
    ),
    Fault(
        "look: what is paid after a return is what is paid before",
        "terms.py",
        'update={key: then, "until": None, "then": None}',
        'update={"until": None, "then": None}',
        ("test_terms.py::test_tables_say_what_is_paid_before_and_after_a_return",),
    ),
    Fault(
        "look: the curve of a clause is flat under the limits of all",
        "terms.py",
        "self._free.paid(name, found.driver, at)",
        "self.paid(name, found.driver, at)",
        ("test_terms.py::test_the_curve_of_a_clause_that_others_hide_is_its_own",),
    ),
    Fault(
        "look: texts of a deal are not escaped",
        "page.py",
        "Environment(autoescape=True,",
        "Environment(autoescape=False,",
        (REPORT + "texts_of_a_deal_stay_texts",),
    ),
    Fault(
        "look: a larger sample costs no more",
        "page.py",
        'as_money(each["times"] * delivery)',
        "as_money(delivery)",
        (REPORT + "the_sample_that_would_change_the_answers_has_people_a_cost_and_a_worth",),
    ),
    Fault(
        "look: a sample that is seldom wrong one way is enough",
        "page.py",
        'return max((each[key] or {}).get("probability")',
        'return min((each[key] or {}).get("probability")',
        (REPORT + "the_smallest_sample_that_is_seldom_wrong_both_ways_is_named",),
    ),
    Fault(
        "look: a row's name runs over the next column",
        "page.html",
        "max-width: 19rem; overflow-wrap: anywhere; }",
        "max-width: 7rem; white-space: nowrap; }",
        (REPORT + "on_a_phone_and_a_screen_nothing_overlaps_or_is_cut",),
    ),
    Fault(
        "look: white on the light blue of the dark page",
        "page.html",
        "--on-blue: #000000;",
        "--on-blue: #ffffff;",
        (REPORT + "ink_on_bars_can_be_read",),
    ),
    Fault(
        "look: gains are hatched",
        "figures.py",
        "bad = (middle < even) if below",
        "bad = (middle > even) if below",
        (FIGURES + "a_histogram_holds_every_draw",),
    ),
    Fault(
        "look: a hair below the bound is a loss",
        "figures.py",
        "on_bound = even + (1e-6 if below",
        "on_bound = even + (-1e-6 if below",
        (FIGURES + "a_hair_beside_the_bound_is_on_the_bound_and_no_worse",),
    ),
    Fault(
        "look: the label of a line on the line",
        "figures.py",
        "axes.vlines(even, base, base + 0.72,",
        "axes.vlines(even, base, base + 1.0,",
        (FIGURES + "nothing_runs_over_a_label",),
    ),
    Fault(
        "look: a hatch that fades away",
        "figures.py",
        'bottom=base, color="none", hatch="////", linewidth=0)',
        'bottom=base, color=colour, alpha=0.45, hatch="////", linewidth=0)',
        (FIGURES + "what_is_hatched_shows_its_hatch",),
    ),
    Fault(
        "look: a present value of the workbook a year off",
        "workbook.py",
        '^(-{periods}/$B$5))"',
        '^(-1-{periods}/$B$5))"',
        (REPORT + "a_spreadsheet_recomputes_the_expected_path",),
    ),
    Fault(
        "look: a return of the workbook a period and not a year",
        "workbook.py",
        '{guess:.4f}))^B5-1"',
        '{guess:.4f}))-1"',
        (REPORT + "a_spreadsheet_recomputes_the_expected_path",),
    ),
    Fault(
        "look: the payers' own costs are nobody's",
        "cash.py",
        "PAYERS: -book[book_of.RECEIPTS] - own,",
        "PAYERS: -book[book_of.RECEIPTS],",
        ("test_cash.py::test_cash_is_that_of_the_run_draw_by_draw",),
    ),
    Fault(
        "look: the low case is low by number and not by what it does",
        "cases.py",
        '{"low": _WORSE if up else _BETTER,',
        '{"low": _WORSE,',
        (REPORT + "a_bad_case_is_worse_than_a_base_and_a_good_one_better",),
    ),
    Fault(
        "look: the base case at the better decile",
        "cases.py",
        '"base": _MIDDLE,',
        '"base": _BETTER,',
        (REPORT + "the_base_case_is_a_world_with_every_number_at_its_median",),
    ),
    Fault(
        "questions: the worths of the file beside the one that is asked",
        "benefit.py",
        "rows = plan.worths[~asked[plan.worths",
        "rows = plan.worths[~(asked & False)[plan.worths",
        ("test_information.py::test_a_value_that_is_given_replaces_those_of_the_file_for_this_outcome_only",),
    ),
    Fault(
        "questions: worth without the worths of the file",
        "benefit.py",
        "total += present[:, j]",
        "total += 0.0 * present[:, j]",
        ("test_information.py::test_the_payer_s_net_benefit_is_that_of_the_comparison",),
    ),
    Fault(
        "questions: an arm serves one later decision",
        "information.py",
        "None if each is None else times * each for key",
        "None if each is None else each for key",
        ("test_information.py::test_an_arm_of_the_file_is_as_good_as_the_file_says_and_serves_all_later_decisions",),
    ),
    Fault(
        "questions: other sizes that are the same size",
        "triggers.py",
        "values[:, listed] *= times",
        "values[:, listed] *= 1.0",
        ("test_triggers.py::test_twice_the_people_are_twice_the_people",),
    ),
    Fault(
        "questions: people of other sizes are those of the deal",
        "triggers.py",
        '"people": times * people}',
        '"people": people}',
        ("test_triggers.py::test_twice_the_people_are_twice_the_people",),
    ),
]


def copy_of_project(folder: Path) -> None:
    """Copy what the tests need, without compiled code."""
    for name in COPIED:
        source = TOP / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
        elif source.exists():
            shutil.copy(source, folder / name)


def run_tests(folder: Path, tests: Iterable[str]) -> tuple[int, str]:
    """Run tests on the copy in a folder, with a cache of kernels of its own."""
    places = {"PYTHONPATH": str(folder), "NUMBA_CACHE_DIR": str(folder / "cache"), "PYTHONDONTWRITEBYTECODE": "1"}
    nodes = [f"tests/{each}" for each in tests]
    found = subprocess.run(
        [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *nodes],
        cwd=folder,
        env=os.environ | places,
        capture_output=True,
        text=True,
        check=False,
    )
    return found.returncode, found.stdout + found.stderr


def tried(fault: Fault) -> tuple[str, str]:
    """Apply one fault and say which test caught it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy_of_project(folder)
        file = folder / "simulator" / fault.file
        text = file.read_text(encoding="utf-8")
        if text.count(fault.old) != 1:
            return "not applicable", f"the old text is there {text.count(fault.old)} times"
        file.write_text(text.replace(fault.old, fault.new), encoding="utf-8")
        for test in fault.tests:
            code, output = run_tests(folder, [test])
            if code == FAILED:
                return "caught", test
            if code != PASSED:
                return "broken", f"{test}: pytest gave {code}: {output[-300:]}"
    return "MISSED", ", ".join(fault.tests)


def passes_without_a_fault(faults: Iterable[Fault]) -> bool:
    """Control: the tests named pass on an unchanged copy."""
    with tempfile.TemporaryDirectory() as name:
        copy_of_project(Path(name))
        code, output = run_tests(Path(name), dict.fromkeys(test for fault in faults for test in fault.tests))
    if code != PASSED:
        print(output[-3000:])
    return code == PASSED


def main() -> int:
    """Try the faults and print a table."""
    parser = argparse.ArgumentParser(description="Put deliberate faults into the kernels, one at a time.")
    parser.add_argument("words", nargs="*", help="only faults with one of these words in their name")
    parser.add_argument("-j", "--jobs", type=int, default=2)
    asked = parser.parse_args()
    faults = [each for each in FAULTS if not asked.words or any(word in each.name for word in asked.words)]
    if not passes_without_a_fault(faults):
        print("the tests fail without any fault")
        return 2
    missed = 0
    with ThreadPoolExecutor(asked.jobs) as pool:
        for fault, (what, how) in zip(faults, pool.map(tried, faults), strict=True):
            print(f"{what:8} {fault.file:13} {fault.name}  [{how}]", flush=True)
            missed += what != "caught"
    print(f"{len(faults) - missed} of {len(faults)} faults were caught")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
