"""Many draws at once: the kernels that a block of draws goes through, outcomes first and then each structure's ledger.

Only this module and those that it imports hold machine code; the rest of the package may change without compiling.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulator.clauses import Tally, settle_persons
from simulator.compiled import inner, kernel
from simulator.ledger import Book, Calendar, Terms, count_triggers, measure_fund, measure_payer, measure_tranche, play
from simulator.outcomes import (
    TILE,
    TRUE,
    VERIFIED,
    WITHOUT,
    Chances,
    OutcomeKeys,
    Outcomes,
    Points,
    Segments,
    date_outcomes,
    draw_people,
    draw_totals,
    fill_arms,
    fill_levels,
    policy_stop,
)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.int8]


class CapTable(NamedTuple):
    """Structures with a cap per person: their clauses one after another, [R] rows in all."""

    first: Ints  # [S' + 1] first row of each such structure
    counts: Ints  # [R] whether the clause is for each participant
    outcome: Ints  # [R]
    rate_at: Ints  # [R]
    limit_at: Ints  # [S']


@inner
def simulate_outcomes(
    start: int,
    values: Floats,
    table: Any,
    segments: Segments,
    cohorts: Any,
    blocks: Any,
    keys: OutcomeKeys,
    points: Points,
    calendar: Calendar,
    frailty_at: int,
    hazard_at: int,
    caps: CapTable,
    chances: Chances,
    records: Any,
    out: Outcomes,
    stops: Ints,
    totals: Floats,
    capped: Floats,
) -> None:
    """Fill the outcomes of draws start.. and what follows from them alone.

    Parameters
    ----------
    points
        Uniforms of these draws that are not drawn at their addresses.
    chances
        Scratch.
    records
        Scratch of what was verified of each person of a draw [O, most people], whole numbers or amounts; None where
        nobody is drawn alone. The kernel is compiled for one or the other.
    out
        Arrays as for one draw, with a leading axis of draws. The people referred are there already.
    stops
        [draws] last period of service.
    totals
        [draws, O, 4] verified, true, without the service, additional.
    capped
        [draws, R, B] money after the cap per person.
    """
    size = table.size
    for d in range(values.shape[0]):
        v = values[d]
        draw = start + d
        # not by a function that returns arrays: references to them would be counted, and nobody would count down here
        one = Outcomes(out.people[d], out.when[d], out.counts[d], out.arms[d])
        date_outcomes(v, table, blocks, calendar.step, chances.months, one.when)
        fill_levels(v, table, segments, cohorts, blocks, one.people, keys.between, points, d, draw, chances)
        fill_arms(v, table, segments, cohorts, keys, points, d, draw, chances, one)
        first, last, periods = calendar.first, calendar.last, calendar.periods
        stop = policy_stop(v, hazard_at, keys, points, d, draw, first, last, periods, calendar.a_year)
        stops[d] = stop
        if records is not None:
            draw_people(v, table, segments, cohorts, blocks, keys, draw, frailty_at, chances, one, records)
            if caps.limit_at.size > 0:
                capped[d] = 0.0
                settle_people(v, caps, one, records, capped[d])
        else:
            draw_totals(v, table, segments, cohorts, blocks, keys, points, d, draw, frailty_at, chances, one)
        for o in range(size):
            for i in range(4):
                totals[d, o, i] = 0.0
            for b in range(blocks.size):
                if blocks[b].reach <= stop:
                    totals[d, o, 0] += one.counts[o, b, VERIFIED]
                    totals[d, o, 1] += one.counts[o, b, TRUE]
                    totals[d, o, 2] += one.counts[o, b, WITHOUT]
            totals[d, o, 3] = table[o].better * (totals[d, o, 1] - totals[d, o, 2])


@kernel
def settle_people(v: Floats, caps: CapTable, one: Outcomes, records: Any, capped: Floats) -> None:
    """Settle every person of a draw under each cap per person; add the money to `capped` [R, B].

    Delays are the same for everybody in a draw, so that the order of a person's outcomes is, too.
    """
    for s in range(caps.limit_at.size):
        low, high = caps.first[s], caps.first[s + 1]
        order = np.empty(high - low, np.int64)
        number = 0
        for k in range(high - low):
            if caps.counts[low + k] == 0:
                continue
            when = one.when[caps.outcome[low + k], 0]
            i = number
            while i > 0 and one.when[caps.outcome[low + order[i - 1]], 0] > when:
                order[i] = order[i - 1]
                i -= 1
            order[i] = k
            number += 1
        outcome = caps.outcome[low:high]
        price = np.empty(high - low)
        for k in range(high - low):
            price[k] = v[caps.rate_at[low + k]] if caps.counts[low + k] else 0.0
        limit = v[caps.limit_at[s]]
        paid = np.empty(high - low)
        left, due = np.empty(TILE), np.empty((high - low, TILE))
        row = 0
        for b in range(one.people.size):
            paid[:] = 0.0
            end = row + one.people[b]
            while row < end:
                stop = min(row + TILE, end)
                settle_persons(records, row, stop, order[:number], outcome, price, limit, left, due, paid)
                row = stop
            for k in range(high - low):
                capped[low + k, b] = paid[k]


@inner
def settle_draws(
    values: Floats,
    planned: Floats,
    terms: Terms,
    calendar: Calendar,
    measures: Any,
    cohorts: Any,
    blocks: Any,
    out: Outcomes,
    stops: Ints,
    capped: Floats,
    has_cap: bool,
    published: Floats,
    tally: Tally,
    book: Book,
    found: Floats,
    by_tranche: Floats,
    by_payer: Floats,
    by_year: Floats,
    met: Ints,
    flags: Flags,
) -> None:
    """Play the ledgers of one structure over simulated outcomes.

    Parameters
    ----------
    found
        [draws, METRICS], filled.
    by_tranche
        [draws, N, METRICS] the investors' metrics for each tranche, filled; there is no row of a tranche where they are
        those of all. The last row is net of what a fund charges, where one holds the paper.
    by_payer
        [draws, P, OF_PAYER + Y] what payers with rules of their own spend, filled.
    by_year
        [draws, Y] the payer's cash, filled.
    met
        [K, C + 2] draws in which a clause's trigger was met by cohort, pooled, and for any of them; added to.
    flags
        [draws, K, C + 2] the same for each draw, filled; or no draws, where nobody asks.
    """
    number = cohorts.size
    for d in range(values.shape[0]):
        one = Outcomes(out.people[d], out.when[d], out.counts[d], out.arms[d])  # as in `simulate_outcomes`
        play(
            values[d],
            planned,
            terms,
            calendar,
            measures,
            cohorts,
            blocks,
            one,
            capped[d],
            has_cap,
            stops[d],
            published,
            tally,
            book,
            found[d],
        )
        own = by_tranche.shape[1] - terms.finance.fund.size
        for n in range(own):
            measure_tranche(values[d], calendar, terms, n, book, by_tranche[d, n])
        if terms.finance.fund.size > 0:
            measure_fund(values[d], calendar, terms, book, found[d], by_tranche[d, own])
        for p in range(by_payer.shape[1]):
            measure_payer(values[d], calendar, terms, measures, out.arms[d], tally, p, book, by_payer[d, p])
        for y in range(by_year.shape[1]):
            by_year[d, y] = book.by_year[y]
        count_triggers(book.state, number, d, met, flags)
