"""Cash by party: it is the run's, it sums to zero, and the expected path is its mean."""

import numpy as np
import pytest
import pyxirr
from deals import SMALL
from test_fund import WITH_FUND

from simulator.cash import (
    CARRY,
    DELIVERY,
    FEES,
    INVESTORS,
    NET,
    OTHERS,
    PAPER,
    PAYERS,
    PROVIDER,
    cash_flows,
)
from simulator.dealfile import load, loads
from simulator.run import simulate

DRAWS = 300
FILES = ["peterborough", "augsburg", "newpin", "rikers"]


@pytest.mark.parametrize("name", FILES)
def test_cash_is_that_of_the_run_draw_by_draw(name):
    deal = load(f"scenarios/{name}.yaml")
    result = simulate(deal, DRAWS, seed=3)
    for structure, cash in cash_flows(deal, DRAWS, seed=3).items():
        draws = result.draws(structure)
        assert -cash.flows[PAYERS].sum(axis=1) == pytest.approx(draws["cost"])
        assert cash.flows[PROVIDER].sum(axis=1) == pytest.approx(draws["surplus"], abs=1e-6)
        if result[structure].investor is None:
            assert not cash.flows[INVESTORS].any()
        else:
            # of every draw, and so of their mean
            worth = np.mean(draws["net_present_value"])
            assert cash.net_present_value(INVESTORS) == pytest.approx(worth)
        worth = result[structure].payer.cost_present_value.mean
        assert -cash.net_present_value(PAYERS) == pytest.approx(worth)


@pytest.mark.parametrize("name", FILES)
def test_all_parties_together_have_nothing(name):
    for cash in cash_flows(load(f"scenarios/{name}.yaml"), DRAWS).values():
        total = sum(cash.flows.values())
        assert np.abs(total).max() < 1e-6 * max(np.abs(each).max() for each in cash.flows.values())
        # and not because nobody has anything
        assert cash.flows[PAYERS].min() < 0 < cash.flows[DELIVERY].max()
        assert (cash.flows[OTHERS] >= 0).all()


def test_the_return_of_the_expected_path_is_that_of_another_program():
    cash = cash_flows(load("scenarios/peterborough.yaml"), DRAWS)["event by event"]
    path = cash.path(INVESTORS)
    theirs = (1.0 + pyxirr.irr(path)) ** cash.a_year - 1.0
    assert cash.irr() == pytest.approx(theirs, abs=1e-9)
    invested = cash.flows[INVESTORS]
    assert cash.multiple() == pytest.approx(invested[invested > 0].sum() / -invested[invested < 0].sum())


def test_the_return_of_the_expected_path_is_not_the_mean_return():
    deal = load("scenarios/peterborough.yaml")
    mean = simulate(deal, DRAWS)["as signed"].investor.irr.mean
    assert abs(cash_flows(deal, DRAWS)["as signed"].irr() - mean) > 0.05


def test_what_a_fund_leaves_is_that_of_the_run_draw_by_draw():
    deal = loads(WITH_FUND)
    result, flows = simulate(deal, DRAWS, seed=3), cash_flows(deal, DRAWS, seed=3)
    draws, cash = result.draws("comparison"), flows["comparison"]
    assert cash.fund[FEES].sum(axis=1) == pytest.approx(draws["fees net of fund"])
    assert cash.fund[CARRY].sum(axis=1) == pytest.approx(draws["carry net of fund"])
    assert cash.net_present_value(NET) == pytest.approx(np.mean(draws["net_present_value net of fund"]))
    assert cash.fund[PAPER] == pytest.approx(cash.flows[INVESTORS], abs=1e-6)
    assert cash.fund[PAPER] == pytest.approx(cash.fund[NET] + cash.fund[FEES] + cash.fund[CARRY], abs=1e-6)
    assert flows["fee"].fund == {}


def test_who_puts_nothing_in_has_no_return():
    cash = cash_flows(loads(SMALL), 10)
    for each in cash.values():
        if not each.flows[INVESTORS].any():
            assert each.irr() is None
            assert each.multiple() is None


def test_more_draws_extend_fewer():
    deal = loads(SMALL)
    few, many = (cash_flows(deal, number) for number in (5, 40))
    for name, each in few.items():
        for party, flows in each.flows.items():
            assert (many[name].flows[party][:5] == flows).all()


def test_what_cannot_be_asked():
    deal = loads(SMALL)
    with pytest.raises(KeyError):
        cash_flows(deal, 5, structures=["no such"])
    with pytest.raises(ValueError, match="allowed: at least 1"):
        cash_flows(deal, 0)
