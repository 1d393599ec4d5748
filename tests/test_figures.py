"""Figures: what they draw is what they were given, in the colours of the parties, without text over text."""

import itertools

import matplotlib
import numpy as np
import pytest
from click.testing import CliRunner
from deals import SMALL

from simulator import figures, pictures
from simulator.cash import INVESTORS, PAYERS, PROVIDER, cash_flows
from simulator.cli import cli
from simulator.dealfile import load, loads
from simulator.run import simulate
from simulator.terms import curve, terms

matplotlib.use("Agg")
DRAWS = 400


@pytest.fixture(scope="module")
def deal():
    return load("scenarios/peterborough.yaml")


@pytest.fixture(scope="module")
def result(deal):
    return simulate(deal, DRAWS)


def _texts(axes):
    return [each.get_text() for each in axes.texts]


def test_every_party_has_one_colour_and_no_two_that_meet_share_one():
    meet = (PAYERS, INVESTORS, PROVIDER, "set-up, management and evaluation", "guarantor", "held by the vehicle")
    assert len({figures.PARTY[party] for party in meet}) == len(meet)
    assert set(figures.PARTY.values()) <= set(figures.COLOURS)


def test_the_share_of_losses_is_the_runs(result):
    (axes,) = pictures.multiple(result).axes
    for name in ("as signed", "event by event", "all or nothing"):
        chance = result[name].investor.probability_of_loss.probability
        assert f"{name}: loss in {chance:.0%}" in _texts(axes)


def test_a_histogram_holds_every_draw():
    values = np.array([0.0] * 3 + [0.5] * 20 + [1.5] * 30 + [2.0] * 10)
    figure = figures.drawn(figures.spread, {"one": values}, unit="", label="x", even=1.0, worse="loss")
    (axes,) = figure.axes
    heights = np.array([each.get_height() for each in axes.patches])
    assert sorted(heights[heights > 0] / heights.max() * 30) == pytest.approx([3, 10, 20, 30])
    hatched = [each for each in axes.patches if each.get_hatch()]
    assert sum(each.get_height() for each in hatched) / heights.sum() == pytest.approx(23 / 63)
    assert all(each.get_x() + each.get_width() <= 1.0 + 1e-9 for each in hatched)


def test_a_bar_that_is_cut_off_says_how_high_it_is():
    values = np.concatenate([np.zeros(900), np.linspace(1.0, 2.0, 100)])
    figure = figures.drawn(figures.spread, {"one": values}, unit="", label="x", even=1.0, worse="loss")
    assert "\u2191 90%" in _texts(figure.axes[0])


def test_a_curve_jumps_where_the_terms_have_a_cliff(deal):
    points = curve(deal, "all or nothing", "group threshold")
    assert points == sorted(points)
    below = max(at for at, paid in points if paid == 0.0)
    above = min(at for at, paid in points if paid > 0.0)
    assert below < above == pytest.approx(340.0)
    assert dict(points)[above] == pytest.approx(5_440_000)
    (axes,) = pictures.pay_off(deal, terms(deal, "all or nothing")[0], points).axes
    assert any(text.startswith("cliff: 5.44m") for text in _texts(axes))


def test_a_line_without_a_jump_has_no_cliff(deal):
    clause = terms(deal, "event by event")[0]
    (axes,) = pictures.pay_off(deal, clause, curve(deal, "event by event", clause.clause)).axes
    assert not any("cliff" in text for text in _texts(axes))


def test_the_curve_goes_through_the_table_of_the_terms(deal):
    for name in ("as signed", "event by event", "all or nothing"):
        for clause in terms(deal, name):
            points = dict(curve(deal, name, clause.clause))
            for row in clause.pay_offs:
                assert points[row.result] == pytest.approx(row.structure)


def test_steps_add_up():
    parts = [("fee", 100.0, figures.INK), ("more", 30.0, figures.BLUE), ("less", -50.0, figures.GREEN)]
    figure = figures.drawn(figures.steps, parts, label="money", unit="GBP", total="all")
    bars = figure.axes[0].patches
    assert [each.get_width() for each in bars] == [100.0, 30.0, -50.0, 80.0]
    assert [each.get_x() for each in bars[:3]] == [0.0, 100.0, 130.0]


def test_money_of_one_draw_comes_and_goes(deal):
    flows = cash_flows(deal, DRAWS)["as signed"]
    for draw in pictures.typical_and_bad(flows):
        bars = pictures.waterfall(flows, draw, "GBP").axes[0].patches
        assert sum(each.get_width() for each in bars) == pytest.approx(0.0, abs=1.0)
    typical, bad = (flows.flows[INVESTORS][draw].sum() for draw in pictures.typical_and_bad(flows))
    assert bad < typical


def test_labels_do_not_run_over_each_other(deal, result):
    flows = cash_flows(deal, DRAWS)["as signed"]
    drawn = [pictures.fan(flows, "GBP"), pictures.multiple(result), pictures.cost(result)]
    drawn += [pictures.waterfall(flows, draw, "GBP") for draw in pictures.typical_and_bad(flows)]
    for figure in drawn:
        renderer = figure.canvas.get_renderer()
        boxes = [each.get_window_extent(renderer) for axes in figure.axes for each in axes.texts if each.get_text()]
        for one, other in itertools.combinations(boxes, 2):
            shared = min(one.x1, other.x1) - max(one.x0, other.x0), min(one.y1, other.y1) - max(one.y0, other.y0)
            assert not (shared[0] > 2 and shared[1] > 4)


def test_a_dollar_in_a_name_is_a_dollar():
    values = {"costs $1 and $2": np.array([0.0, 1.0, 2.0])}
    figure = figures.drawn(figures.spread, values, unit="", label="x", even=1.0, worse="loss")
    assert b"$1 and $2" in figures.rendered(figure, "svg")


@pytest.mark.parametrize("form", figures.FORMATS)
def test_the_same_data_give_the_same_bytes(form, result):
    assert figures.rendered(pictures.multiple(result), form) == figures.rendered(pictures.multiple(result), form)


@pytest.mark.parametrize("name", list(pictures.PLOTS))
def test_every_figure_can_be_asked_for(name, tmp_path):
    small = tmp_path / "small.yaml"
    small.write_text(SMALL.replace("  fee:\n", "  conventional:\n"))
    out = tmp_path / "figure.svg"
    command = ["plot", str(small), "--figure", name, "-o", str(out), "--draws", "32", "--quiet"]
    command += [] if name in {"cost", "power"} else ["--structure", "comparison"]
    done = CliRunner().invoke(cli, command)
    if name == "power":  # two outcomes: no one effect to draw it over
        assert "nothing to show" in str(done.exception)
        return
    assert done.exit_code == 0, done.output
    assert out.read_bytes().startswith(b"<?xml")


def test_a_figure_that_is_not_there_is_refused(tmp_path):
    small = tmp_path / "small.yaml"
    small.write_text(SMALL)
    done = CliRunner().invoke(cli, ["plot", str(small), "--figure", "multipel", "-o", str(tmp_path / "f.png")])
    assert "did you mean 'multiple'" in str(done.exception)
    assert [each.name for each in tmp_path.iterdir()] == ["small.yaml"]


def test_what_has_nothing_to_show_is_none():
    deal = loads(SMALL)
    assert pictures.plot(deal, "multiple", 16, structures=["fee"]) is None
    assert pictures.plot(deal, "cost", 16) is None
    with pytest.raises(KeyError):
        pictures.plot(deal, "no such", 16)
