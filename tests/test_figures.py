"""Figures: what they draw is what they were given, in the colours of the parties, without text over text."""

import itertools
import re

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
    heights = np.array([each.get_height() for each in axes.patches if not each.get_hatch()])
    assert sorted(heights[heights > 0] / heights.max() * 30) == pytest.approx([3, 10, 20, 30])
    hatched = [each for each in axes.patches if each.get_hatch()]
    assert sum(each.get_height() for each in hatched) / heights.sum() == pytest.approx(23 / 63)
    assert all(each.get_x() + each.get_width() <= 1.0 + 1e-9 for each in hatched)


def test_a_bar_that_is_cut_off_says_how_high_it_is():
    values = np.concatenate([np.zeros(900), np.linspace(1.0, 2.0, 100)])
    figure = figures.drawn(figures.spread, {"one": values}, unit="", label="x", even=1.0, worse="loss")
    assert "\u2191 90%" in _texts(figure.axes[0])


def test_a_curve_jumps_where_the_terms_have_a_cliff(deal):
    found = curve(deal, "all or nothing", "group threshold")
    points = list(found.points)
    assert points == sorted(points)
    below = max(at for at, paid in points if paid == 0.0)
    above = min(at for at, paid in points if paid > 0.0)
    assert below < above == pytest.approx(340.0)
    assert dict(points)[above] == pytest.approx(5_440_000)
    (axes,) = pictures.pay_off(deal, terms(deal, "all or nothing")[0], found).axes
    assert any(text.startswith("cliff: 5.44m") for text in _texts(axes))


def test_a_line_without_a_jump_has_no_cliff(deal):
    clause = terms(deal, "event by event")[0]
    (axes,) = pictures.pay_off(deal, clause, curve(deal, "event by event", clause.clause)).axes
    assert not any("cliff" in text for text in _texts(axes))


def test_the_curve_goes_through_the_table_of_the_terms(deal):
    for name in ("as signed", "event by event", "all or nothing"):
        for clause in terms(deal, name):
            found = curve(deal, name, clause.clause)
            assert found.whole
            points = dict(found.points)
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
    if name in {"power", "information"}:  # two outcomes: no one effect to draw it over; nothing is worth knowing
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


def _crossed(figure):
    """Texts of a figure that another text or an upright line runs over, and texts that are cut off."""
    renderer = figure.canvas.get_renderer()
    found = []
    for axes in figure.axes:
        labels = []
        for axis, (low, high) in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
            ticks = zip(axis.get_majorticklocs(), axis.get_ticklabels(), strict=True)
            labels += [label for place, label in ticks if low <= place <= high]
        texts = [each for each in [*axes.texts, *labels, axes.xaxis.label, axes.title] if each.get_text()]
        boxes = [(each.get_text(), each.get_window_extent(renderer), each.get_rotation()) for each in texts]
        for (one, a, turned), (other, b, also) in itertools.combinations(boxes, 2):
            # a turned label is narrower than its box
            over = min(a.x1, b.x1) - max(a.x0, b.x0) > 2 and min(a.y1, b.y1) - max(a.y0, b.y0) > 4
            found += [f"{one} | {other}"] if over and not (turned and also) else []
        paths = [
            line.get_transform().transform(line.get_xydata()) for line in axes.lines if len(line.get_xydata()) == 2
        ]
        paths += [axes.transData.transform(p) for c in axes.collections for p in getattr(c, "get_segments", list)()]
        for (x0, y0), (x1, y1) in (path for path in paths if path.shape == (2, 2)):
            for words, box, _ in boxes:
                inside = box.x0 + 1 < x0 < box.x1 - 1 and max(min(y0, y1), box.y0) + 2 < min(max(y0, y1), box.y1)
                found += [f"{words} | a line"] if inside and abs(x1 - x0) < 1 else []
        width, height = figure.canvas.get_width_height()
        found += [
            f"{words} is cut" for words, box, _ in boxes if box.x0 < -1 or box.x1 > width + 1 or box.y1 > height + 1
        ]
        found += [f"{words} is clipped" for words, *_ in boxes if "\u2026" in words]
    return found


@pytest.mark.parametrize("file", ["peterborough", "rikers", "essex"])
def test_nothing_runs_over_a_label(file):
    deal = load(f"scenarios/{file}.yaml")
    seen = 0
    for name in set(pictures.PLOTS) - {"tornado", "information"}:  # these ask long; their drawing is tested below
        figure = pictures.plot(deal, name, 256)
        if figure is not None:
            seen += 1
            assert _crossed(figure) == [], name
    assert seen >= 9


def test_what_is_hatched_shows_its_hatch(result):
    drawn = figures.rendered(pictures.multiple(result), "svg").decode()
    filled = re.findall(r"style=\"fill: url\(#[^)]*\)([^\"]*)\"", drawn)
    assert filled
    assert not [each for each in filled if "opacity" in each]
    patterns = re.findall(r"<pattern.*?</pattern>", drawn, flags=re.DOTALL)
    assert patterns
    assert not [each for each in patterns if "stroke-opacity" in each]


def test_cliffs_that_are_small_beside_the_whole_are_not_written_out():
    points = [(0.0, 0.0), (1.0, 0.0), (1.001, 90.0), (1.1, 90.0), (1.101, 95.0), (2.0, 95.0)]
    figure = figures.drawn(figures.pay_off, points, label="x", currency="GBP", share=False)
    assert [each for each in _texts(figure.axes[0]) if "cliff" in each] == ["cliff: 90"]


def _tornado(swings):
    tornado = {
        name: {"low": {"value": 1.0 - half}, "high": {"value": 1.0 + half}, "swing": {"value": 2.0 * half}}
        for name, half in swings.items()
    }
    return {"mean": {"value": 1.0}, "tornado": tornado}


def test_a_long_name_takes_two_lines_and_what_hardly_moves_is_left_out():
    path = "outcomes.reconvictions.comparison_arm.effective_share"
    sensitivity = {
        "currency": "GBP",
        "unknowns": {path: {}, "delivery cost": {}, "nothing": {}},
        "structures": {"as signed": {"multiple": _tornado({path: 0.5, "delivery cost": 0.2, "nothing": 0.001})}},
    }
    figure = pictures.tornado(sensitivity, "as signed")
    names = [each.get_text() for each in figure.axes[0].get_yticklabels()]
    assert names == ["reconvictions, comparison\narm, effective share", "delivery cost"]
    assert _crossed(figure) == []


def test_a_name_too_long_for_two_lines_is_cut_off():
    figure = figures.drawn(figures.steps, [("word " * 30, 1.0, figures.BLUE)], label="x", unit="")
    (name,) = (each.get_text() for each in figure.axes[0].get_yticklabels())
    assert name.count("\n") == 1
    assert name.endswith("\u2026")


def test_where_nothing_is_worth_knowing_nothing_is_drawn():
    nothing = {"value": 0.0, "standard_error": 0.0}
    answers = {"currency": "GBP", "decisions": {"payer": {"information": {"x": nothing, "y": nothing}}}}
    assert pictures.information(answers, "payer") is None
    answers["decisions"]["payer"]["information"]["y"] = {"value": 5.0, "standard_error": 1.0}
    figure = pictures.information(answers, "payer")
    assert [each.get_text() for each in figure.axes[0].get_yticklabels()] == ["y"]


def test_a_value_that_most_draws_share_leaves_the_other_cases_visible():
    values = np.concatenate([np.zeros(900), np.linspace(1.0, 2.0, 100)])
    figure = figures.drawn(figures.cases, values, {"base": 1.5}, label="multiple")
    heights = sorted((each.get_height() for each in figure.axes[0].patches), reverse=True)
    assert heights[0] == pytest.approx(1.0)
    assert heights[1] == pytest.approx(1.0 / 3.0)
    assert "\u2191 90%" in _texts(figure.axes[0])


def test_words_of_a_legend_are_parted_by_more_than_blanks():
    year = {"year": "2020-21", "expected": {"value": 1.0}, "p95": 2.0, "contractual_maximum": 3.0}
    figure = figures.drawn(figures.budget, [year], currency="GBP")
    title = figure.axes[0].get_title(loc="left")
    assert "  " not in title  # a browser makes one blank of them
    assert title.count("\u00b7") == 2


@pytest.mark.parametrize(("below", "even"), [(True, 1.0), (False, 0.0)])
def test_a_hair_beside_the_bound_is_on_the_bound_and_no_worse(below, even):
    values = {"x": np.array([even - 1e-12, even, even + 1e-12, even - 0.5, even + 0.5])}
    figure = figures.drawn(figures.spread, values, unit="", label="x", even=even, worse="worse", below=below)
    bars = figure.axes[0].patches
    height = min(each.get_height() for each in bars if each.get_height() > 0.0)
    assert [each.get_height() for each in bars if each.get_hatch() and each.get_height()] == [pytest.approx(height)]
    assert "x: worse in 20%" in _texts(figure.axes[0])


def test_names_of_near_results_stand_in_two_rows_and_what_has_no_place_is_not_written():
    marks = [(0.5, "expected"), (0.55, "promised"), (0.56, "another"), (1.9, "stretch")]
    points = [(0.0, 0.0), (2.0, 5.0)]
    figure = figures.drawn(figures.pay_off, points, label="x", currency="GBP", share=False, marks=marks)
    assert _texts(figure.axes[0]) == ["expected", "promised", "stretch"]
    assert _crossed(figure) == []


def test_progress_of_a_figure_is_said_on_a_terminal_only(deal, monkeypatch):
    told = []
    pictures.plot(deal, "multiple", 64, progress=lambda done, total: told.append((done, total)))
    assert told
    assert told[-1][0] == told[-1][1]
    for name in ("tornado", "luck", "power", "price"):
        told.clear()
        pictures.plot(deal, name, 16, progress=lambda done, total: told.append((done, total)))
        assert told, name


def test_the_share_of_a_bar_that_is_cut_off_stands_where_no_case_does():
    values = np.concatenate([np.full(900, 1.5), np.linspace(0.0, 3.0, 100)])
    for point in (1.3, 1.7):
        assert _crossed(figures.drawn(figures.cases, values, {"base": point}, label="multiple", height=2.4)) == []
