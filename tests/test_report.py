"""Reports: self-contained, escaped, repeatable; a spreadsheet recomputes the workbook, a browser opens the page."""

import dataclasses
import io
import itertools
import json
import os
import re
import shutil
import subprocess
import zipfile
from html.parser import HTMLParser

import numpy as np
import openpyxl
import pytest
from click.testing import CliRunner
from deals import SMALL
from markupsafe import escape
from test_fund import WITH_FUND

from simulator import ledger
from simulator.cases import cases
from simulator.cash import DELIVERY, INVESTORS, NET, OF_FUND, PAYERS
from simulator.cli import cli
from simulator.dealfile import load, loads
from simulator.dossier import gather
from simulator.page import _enough, _judged, _some, page
from simulator.page import _sizes as _sizes_of
from simulator.plan import compile_plan
from simulator.publish import write_report
from simulator.run import Simulation
from simulator.sensitivity import sensitivity
from simulator.workbook import workbook
from simulator.worlds import Worlds
from simulator.yamlfile import AskError

DRAWS = 64
ATTACK = "<script>alert(1)</script>"
NEEDED = os.environ.get("SIB_TEST_PROGRAMS") == "required"
VOID = {"meta", "link", "br", "wbr", "hr", "img", "path", "use", "rect"}


def program(*names):
    """A program of the machine; where it is missing the test is skipped, unless it must be there."""
    for name in names:
        if found := shutil.which(name):
            return found
    if NEEDED:
        pytest.fail(f"none of {', '.join(names)} is installed, and SIB_TEST_PROGRAMS=required")
    return pytest.skip(f"none of {', '.join(names)} is installed")


@pytest.fixture(scope="module")
def dossier():
    return gather(load("scenarios/peterborough.yaml"), DRAWS, asked={"file": "peterborough.yaml", "draws": DRAWS})


@pytest.fixture(scope="module")
def html(dossier):
    return page(dossier)


RULES = """    payers:
      city: {share: 60%, at_most: 90000}
      nation: the rest
"""


@pytest.fixture(scope="module")
def funded():
    """A deal with a fund, and payers that have rules."""
    return gather(
        loads(WITH_FUND.replace("  comparison:\n", f"  comparison:\n{RULES}")), DRAWS, structures=["comparison", "fee"]
    )


def attacked():
    """A deal whose every text attacks a page and a spreadsheet."""
    text = SMALL.replace("deal: ", f'deal: "{ATTACK} & =1+1" # ', 1)
    return loads(text)


class _Reader(HTMLParser):
    """Elements in order, and the texts of some."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.texts = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append((self.open[-1] if self.open else "", data))


# -- The page ----------------------------------------------------------------------------------------------------


def test_the_page_loads_nothing(html):
    reader = _Reader(html)
    assert not reader.open
    tags = {tag for tag, _ in reader.elements}
    assert not tags & {
        "script",
        "iframe",
        "object",
        "embed",
        "img",
        "image",
        "audio",
        "video",
        "base",
        "form",
        "foreignobject",
    }
    for tag, attrs in reader.elements:
        for key, value in attrs.items():
            assert not key.startswith("on"), (tag, key)
            if key in {"href", "src", "xlink:href", "srcset", "action", "data"}:
                assert value.startswith("#") or value == "data:,", (tag, key, value)
            if key == "style":
                assert "url(" not in value.replace("url(#", ""), value
    policy = next(attrs["content"] for tag, attrs in reader.elements if attrs.get("http-equiv"))
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:")
    style = "".join(text for tag, text in reader.texts if tag == "style")
    assert "@import" not in style
    assert "url(" not in style


def test_the_page_can_be_read_out(html):
    elements = _Reader(html).elements
    levels = [int(tag[1]) for tag, _ in elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    tags = [tag for tag, _ in elements]
    assert tags.count("table") == tags.count("caption") >= 10
    assert all(attrs.get("scope") in {"row", "col"} for tag, attrs in elements if tag == "th")
    ids = [attrs["id"] for _, attrs in elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    pictures = [attrs for tag, attrs in elements if tag == "svg"]
    assert len(pictures) >= 8
    for attrs in pictures:
        assert attrs["role"] == "img"
        assert set(attrs["aria-labelledby"].split()) <= set(ids)
    for _, attrs in elements:
        if attrs.get("href", "").startswith("#"):
            assert attrs["href"][1:] in ids
        for used in re.findall(r"url\(#([^)]*)\)", " ".join(filter(None, attrs.values()))):
            assert used in ids


def test_a_colour_of_a_figure_follows_light_and_dark(html):
    drawn = " ".join(re.findall(r"<svg.*?</svg>", html, flags=re.DOTALL))
    colours = {each.lower() for each in re.findall(r"#[0-9a-fA-F]{6}\b", drawn)}
    # on a bar of a fixed colour stands its own ink
    assert colours <= {"#ffffff", "#000000"}
    assert "var(--vermilion)" in drawn


def _contrast(one, other):
    def light(colour):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((light(one), light(other)))
    return (high + 0.05) / (low + 0.05)


def test_text_can_be_told_from_paper(html):
    style = html[html.index("<style>") : html.index("</style>")]
    palettes = re.findall(r":root \{(.*?)\}", style, flags=re.DOTALL)
    assert len(palettes) == 3
    for palette in palettes:
        colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", palette))
        for ink in ("ink", "quiet"):
            for paper in ("paper", "box"):
                assert _contrast(colours[ink], colours[paper]) >= 4.5
        # of what is drawn, WCAG 2.1 asks for 3; the lightest of Okabe and Ito's colours are never alone
        for colour in ("blue", "vermilion", "green", "guide"):
            assert _contrast(colours[colour], colours["paper"]) >= 3.0
    assert _contrast("#1b1d21", "#1c1e22") < 1.1


def test_texts_of_a_deal_stay_texts():
    text = page(gather(attacked(), 16))
    assert ATTACK not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert not [tag for tag, _ in _Reader(text).elements if tag == "script"]


def test_names_in_figures_stay_texts():
    changes = [
        ("  comparison:", "  B:"),
        ("      each:", "      I:"),
        ("unless: each", "unless: I"),
        (" reduction:", " U:"),
    ]
    text = SMALL
    for old, new in [*changes, ("{reduction: at", "{U: at")]:
        text = text.replace(old, re.sub("[BIU]", lambda name: f'"<{name[0].lower()} onload=x>"', new))
    deal = loads(text)
    names = [name for name in deal.structures if "<b" in name]
    assert names
    written = page(gather(deal, 16, structures=names))
    assert "<b onload" not in written
    assert "&lt;b onload" in written


def test_the_same_question_gives_the_same_page(dossier, html):
    again = gather(dossier.deal, DRAWS, asked=dossier.asked, threads=1)
    assert page(again) == html
    assert workbook(again) == workbook(dossier)
    other = gather(dossier.deal, DRAWS, seed=2, asked=dossier.asked)
    assert page(other) != html


def test_the_page_says_how_to_repeat_it(dossier, html):
    assert dossier.run["deal_hash"] in html
    assert f"sib report peterborough.yaml --draws {DRAWS}" in html


def test_figures_of_the_run_stand_on_the_page(dossier, html):
    cost = dossier.run["structures"]["as signed"]["payer"]["cost"]["mean"]
    assert f"{cost:,.0f}" in html
    paid = dossier.run["structures"]["as signed"]["triggers"]["any payment"]["probability"]
    assert f"{paid:.1%}" in html


# -- The workbook ------------------------------------------------------------------------------------------------


def _recomputed(data, folder, edit=None):
    """What a spreadsheet program makes of a workbook whose formulas have no values."""
    book = openpyxl.load_workbook(io.BytesIO(data))
    if edit is not None:
        edit(book)
    book.save(folder / "given.xlsx")  # without the values of the formulas
    kept = openpyxl.load_workbook(folder / "given.xlsx", data_only=True)
    assert kept["Cash 1"]["F5"].value is None
    command = [program("soffice", "libreoffice"), "--headless", "--norestore"]
    command += [f"-env:UserInstallation={(folder / 'profile').as_uri()}", "--convert-to", "xlsx:Calc MS Excel 2007 XML"]
    command += ["--outdir", str(folder / "out"), str(folder / "given.xlsx")]
    subprocess.run(command, check=True, capture_output=True, timeout=180)
    return openpyxl.load_workbook(folder / "out" / "given.xlsx", data_only=True)


def _cash_of(sheet):
    return {sheet.cell(row, 4).value: sheet.cell(row, 6).value for row in range(5, 12)}


def test_a_spreadsheet_recomputes_the_expected_path(dossier, tmp_path):
    book = _recomputed(workbook(dossier), tmp_path)
    for number, (name, cash) in enumerate(dossier.cash.items(), start=1):
        sheet = book[f"Cash {number}"]
        assert sheet["A1"].value.startswith(name)
        found = _cash_of(sheet)
        assert found["NPV, payers, at 2010-09-01"] == pytest.approx(cash.net_present_value(PAYERS), rel=1e-9)
        if cash.multiple() is None:
            continue
        assert found["multiple of the expected path"] == pytest.approx(cash.multiple(), rel=1e-9)
        assert found["IRR a year of the expected path"] == pytest.approx(cash.irr(), abs=1e-7)
        assert found["NPV, investors, at 2010-09-01"] == pytest.approx(cash.net_present_value(INVESTORS), rel=1e-9)
        last = 12 + len(cash.dates) + 1
        for column, party in enumerate(cash.flows, start=3):
            assert sheet.cell(12, column).value == party
            assert sheet.cell(last, column).value == pytest.approx(cash.path(party).sum(), rel=1e-9, abs=1e-6)
        together = [sheet.cell(row, 5 + len(cash.flows)).value for row in range(13, last)]
        assert together == [0] * len(cash.dates)


def test_a_spreadsheet_recomputes_what_a_fund_leaves(funded, tmp_path):
    sheet = _recomputed(workbook(funded), tmp_path)["Cash 1"]
    cash, found = funded.cash["comparison"], _cash_of(sheet)
    assert found["net multiple of the expected path"] == pytest.approx(cash.multiple(NET), rel=1e-9)
    assert found["net IRR a year of the expected path"] == pytest.approx(cash.irr(NET), abs=1e-7)
    assert found["NPV, the fund's investors, at 2020-04-01"] == pytest.approx(cash.net_present_value(NET), rel=1e-9)
    assert cash.multiple(NET) < cash.multiple() - 0.01
    heads = {sheet.cell(12, column).value: column for column in range(1, 30)}
    last = 12 + len(cash.dates) + 1
    for what in OF_FUND:
        assert sheet.cell(last, heads[what]).value == pytest.approx(cash.path(what).sum(), rel=1e-9, abs=1e-6)
    assert {sheet.cell(row, heads["the two ways apart"]).value for row in range(13, last)} == {0}

    def dearer(book):
        book["Cash 1"].cell(20, heads["fund's fees"]).value += 50_000.0

    changed = _cash_of(_recomputed(workbook(funded), tmp_path, dearer)["Cash 1"])
    assert changed["net IRR a year of the expected path"] < found["net IRR a year of the expected path"] - 0.01
    assert changed["IRR a year of the expected path"] == found["IRR a year of the expected path"]


def test_a_change_in_the_workbook_changes_its_return(dossier, tmp_path):
    def better(book):
        sheet = book["Cash 1"]
        column = next(c for c in range(1, 20) if sheet.cell(12, c).value == "got by investors")
        sheet.cell(30, column).value += 1_000_000.0

    sheet = _recomputed(workbook(dossier), tmp_path, better)["Cash 1"]
    assert _cash_of(sheet)["multiple of the expected path"] > dossier.cash["as signed"].multiple() + 0.1
    assert any(sheet.cell(row, 5 + len(dossier.cash["as signed"].flows)).value != 0 for row in range(13, 50))


def test_gross_and_net_stand_side_by_side_where_a_fund_is_stated(funded, html):
    text = " ".join(words for _, words in _Reader(page(funded)).texts)
    investor = funded.run["structures"]["comparison"]["investor"]
    assert "Gross, and net of the fund's fees: the paper of all investors" in text
    for each in (investor, investor["net"]):
        assert f"{each['multiple']['mean']:.3f}" in text
        assert f"{100 * each['probability_of_loss']['probability']:.2f}%" in text
    assert f"{investor['net']['fees']['mean']:,.0f}" in text
    assert "its manager has 20% of what follows" in text
    assert "the file states none" not in text
    assert "Gross, and net" not in html


def test_every_payer_has_its_cash_by_financial_year(funded):
    text = " ".join(words for _, words in _Reader(page(funded)).texts)
    payers = funded.run["structures"]["comparison"]["payers"]
    assert list(payers) == ["city", "nation"]
    for name, each in payers.items():
        assert f"{name}, GBP" in text
        assert f"{each['cost']['mean']:,.0f}" in text


def test_what_is_not_valued_is_said_once(funded):
    [note] = funded.information["notes"]
    assert page(funded).count(str(escape(note))) == 1


def test_the_sample_is_judged_by_a_clause_that_can_go_wrong():
    def found(*chances):
        return {"probability": {"probability": 0.9}} | {"false_trigger": {"probability": chances[0]}}

    def size(times, first, second):
        return {"times": times, "triggers": {"card": found(first), "bar": found(second)}} | found(1.0)

    label, of = _judged([size(0.5, 1.0, 0.4), size(1.0, 1.0, 0.2)])
    assert label == "bar" and of(size(1.0, 1.0, 0.2))["false_trigger"]["probability"] == 0.2
    assert _judged([size(1.0, 1.0, 1.0)]) is None
    label, of = _judged([size(1.0, 0.1, 0.1) | found(0.3)])
    assert label == "any payment" and of(found(0.3))["false_trigger"]["probability"] == 0.3


def test_a_sample_that_moves_nothing_is_no_table(funded):
    found = funded.triggers["structures"]["comparison"]
    alike = [each | {"expected_payment": {"value": 1.0, "standard_error": 0.1}} for each in found["sizes"]["cohort"]]
    triggers = {"structures": {"comparison": found | {"sizes": {"cohort": alike}}}}
    [part] = _sizes_of(dataclasses.replace(funded, triggers=triggers), "cohort", "cohorts")
    assert part["text"] == "What comparison pays does not depend on the size of the cohorts."
    table, *_ = _sizes_of(funded, "cohort", "cohorts")
    assert len(table["rows"]) == 5


def test_a_long_card_is_a_table_of_prices():
    rows = ", ".join(f"job {i}: {100 + i}" for i in range(8))
    outcomes = "\n".join(f"  job {i}: {{without_service: 20%}}" for i in range(8))
    text = f"""
deal: a card
time: {{start: 2020-01, step: year, horizon: 2 years}}
cohorts: {{all: {{people: 9, referred: 2020-01 to 2020-12}}}}
outcomes:
{outcomes}
structures: {{as signed: {{rate_card: {{{rows}}}, paid_after: 0 months}}}}
"""
    texts = [words.strip() for _, words in _Reader(page(gather(loads(text), 16))).texts]
    assert "Rate card: what is paid for each participant by outcome payer, GBP" in texts
    assert "107" in texts
    assert not [each for each in texts if each.startswith("job 7: For each participant")]


def test_present_values_name_their_rate_base_and_date(dossier, tmp_path):
    html = page(dossier)
    assert "present value (3.5% a year real, at 2010-09-01)" in html
    assert "(6% a year nominal, at 2010-09-01)" in html
    assert "payers at 3.5% a year real, inflation 2%" in html
    summary = _recomputed(workbook(dossier), tmp_path)["Summary"]
    labels = [summary.cell(row, 1).value for row in range(1, 30)]
    assert "payers' cost, present value (3.5% a year real, at 2010-09-01)" in labels


def test_texts_of_a_workbook_are_no_formulas():
    deal = loads(SMALL.replace("  comparison:\n", '  "=HYPERLINK(1)":\n'))
    book = openpyxl.load_workbook(io.BytesIO(workbook(gather(deal, 16))))
    for sheet in book:
        for row in sheet.iter_rows():
            for cell in row:
                if cell.data_type == "f":
                    assert re.match(r"=(SUM|ROUND|SUMPRODUCT|\(1\+IRR|[A-Z]+\d+-[A-Z]+\d+)", cell.value), cell.value
    assert "=HYPERLINK(1)" in [cell.value for cell in book["Summary"][5]]


def test_a_workbook_holds_no_undefined_number(dossier):
    with zipfile.ZipFile(io.BytesIO(workbook(dossier))) as parts:
        sheets = [parts.read(name).decode() for name in parts.namelist() if "worksheets/sheet" in name]
    assert not [sheet for sheet in sheets if re.search(r"<v>(nan|inf|-inf)", sheet, flags=re.IGNORECASE)]


# -- The command -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("deal.pdf", "allowed: .html, .xlsx"),
        ("deal", "allowed: .html, .xlsx"),
        ("no/such/deal.html", "there is no folder"),
        ("file/deal.html", "there is no folder"),
        ("folder.html", "is a folder"),
    ],
)
def test_a_place_that_cannot_be_written_is_refused(path, words, tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(AskError, match=words) as found:
        write_report(loads(SMALL), tmp_path / path, 16)
    assert len(str(found.value).splitlines()) == 1
    assert sorted(each.name for each in tmp_path.iterdir()) == ["file", "folder.html"]


def test_a_full_disk_leaves_the_old_report(tmp_path, monkeypatch):
    old = tmp_path / "deal.html"
    old.write_text("old")

    def full(path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(AskError, match="No space left"):
        write_report(loads(SMALL), old, 16)
    assert old.read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["deal.html"]


@pytest.mark.parametrize("ending", ["html", "xlsx"])
def test_the_command_writes_a_report_and_says_nothing(ending, tmp_path):
    deal = tmp_path / "small.yaml"
    deal.write_text(SMALL)
    out = tmp_path / f"deal.{ending}"
    done = CliRunner().invoke(cli, ["report", str(deal), "-o", str(out), "--draws", "16", "--quiet"])
    assert done.exit_code == 0, done.output
    assert done.stdout == ""
    assert out.stat().st_size > 5_000


# -- The browser -------------------------------------------------------------------------------------------------


def _opened(file, folder, *options):
    """Open a page in a browser without a window; what it says on the way, and the page as it stands."""
    command = [program("chromium", "chromium-browser", "google-chrome"), "--headless", "--no-sandbox", "--disable-gpu"]
    command += ["--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update"]
    command += ["--disable-sync", f"--user-data-dir={folder / 'profile'}", "--enable-logging=stderr", "--v=0"]
    command += [f"--log-net-log={folder / 'net.json'}", *options, "--dump-dom", file.as_uri()]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=180)
    # those of the page; a browser has requests of its own, which no page began
    lines = (line.strip().rstrip(",]}") for line in (folder / "net.json").read_text().splitlines())
    events = [json.loads(f"{line}}}") for line in lines if line.startswith('{"params":{"') and '"initiator"' in line]
    asked = [each["params"] for each in events if "initiator" in each.get("params", {})]
    asked = [each["url"] for each in asked if each["initiator"] != "not an origin"]
    requested = {url for url in asked if not url.startswith(("file:", "data:"))}
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return done.stdout, console, requested


def test_a_browser_requests_nothing_and_has_nothing_to_say(tmp_path):
    file = tmp_path / "deal.html"
    file.write_text(page(gather(attacked(), 16)), encoding="utf-8")
    dom, console, requested = _opened(file, tmp_path)
    assert console == []
    assert requested == set()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in dom
    assert "<script" not in dom


def test_a_browser_says_when_a_page_does_more(tmp_path):
    """The same check of a page that runs a script, and asks for a picture: both are seen."""
    file = tmp_path / "deal.html"
    text = page(gather(attacked(), 16))
    loud = text.replace("</body>", "<script>console.log(1)</script><img src='http://127.0.0.1:9/x.png'></body>")
    file.write_text(loud, encoding="utf-8")
    _, console, _ = _opened(file, tmp_path)
    assert any("Content Security Policy" in line for line in console)
    free = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", loud)
    file.write_text(free, encoding="utf-8")
    shutil.rmtree(tmp_path / "profile")
    _, console, requested = _opened(file, tmp_path)
    assert any("127.0.0.1:9" in url for url in requested)


def test_ink_on_bars_can_be_read(html):
    style = html[html.index("<style>") : html.index("</style>")]
    for palette in re.findall(r":root \{(.*?)\}", style, flags=re.DOTALL):
        colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", palette))
        assert _contrast(colours["on-blue"], colours["blue"]) >= 4.5
        for colour in ("orange", "purple"):
            assert _contrast(colours["on-light"], colours[colour]) >= 4.5


def test_the_sample_that_would_change_the_answers_has_people_a_cost_and_a_worth(dossier, html):
    sizes = dossier.triggers["structures"]["as signed"]["sizes"]
    text = " ".join(words for _, words in _Reader(html).texts)
    for key in ("comparison_arm", "cohort"):
        assert f"{sizes[key][-1]['people']:,.0f}" in text
    delivery = dossier.cash["as signed"].path(DELIVERY).sum()
    assert f"{4.0 * delivery:,.0f}" in text
    arms = dossier.information["decisions"]["payer"]["arms"]
    assert [each["comparison"] for each in arms] == [round(times * 29_000) for times in (0.25, 1.0, 4.0)]
    for each in arms:
        assert f"{each['worth']['value']:,.0f}".replace("-0", "0") in text
    assert "before fees of a fund that holds it; the file states none." in " ".join(text.split())


def _sizes(*wrong):
    return [
        {"times": times, "people": 100.0 * times, "false_trigger": {"probability": false}, "missed_trigger": missed}
        for times, (false, missed) in zip((0.5, 1.0, 2.0), wrong, strict=True)
    ]


def test_the_smallest_sample_that_is_seldom_wrong_both_ways_is_named():
    def p(value):
        return {"probability": value}

    said = _enough(_sizes((0.2, p(0.01)), (0.05, p(0.05)), (0.01, p(0.01))))
    assert "that of the deal (100 people) is the smallest" in said
    said = _enough(_sizes((0.01, p(0.3)), (0.02, p(0.21)), (0.01, p(0.4))))
    assert "nearest is that of the deal, with 21%" in said
    assert "0.5 times (50 people)" in _enough(_sizes((0.01, None), (0.0, None), (0.0, None)))  # nothing was promised


def test_a_long_list_of_clauses_is_counted():
    assert _some(list("abcdef")) == "a, b, c, d, e, f"
    assert _some(list("abcdefgh")) == "a, b, c, d, e and 3 more"


SEEN = """<script>
addEventListener("load", () => {
  const found = [], box = each => each.getBoundingClientRect(), words = each => each.textContent;
  const turned = each => (each.getAttribute("transform") || "").includes("rotate(-45");
  const wide = document.body.scrollWidth;
  if (wide > WIDTH) found.push("the page is " + wide + " wide");
  for (const cell of document.querySelectorAll("th, td"))
    if (cell.scrollWidth > cell.clientWidth + 1) found.push("runs over: " + words(cell));
  for (const svg of document.querySelectorAll("figure svg")) {
    const texts = [...svg.querySelectorAll("text")].filter(each => !turned(each)), whole = box(svg);
    texts.forEach((text, i) => {
      const a = box(text);
      if (a.left < whole.left - 2 || a.right > whole.right + 2) found.push("is cut: " + words(text));
      for (const other of texts.slice(0, i)) {
        const b = box(other), across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
        const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
        if (across > 2 && down > 0.5 * Math.min(a.height, b.height)) found.push(words(text) + " over " + words(other));
      }
    });
  }
  document.title = found.length + " mistakes: " + found.slice(0, 5).join("; ");
});
</script>"""


def _look(text, folder, width):
    """How many things overlap, are cut off or widen the page, in a browser whose page is so many pixels wide."""
    file = folder / f"seen{width}.html"
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)
    narrow = f"<style>html {{ width: {width}px }}</style>"
    file.write_text(text.replace("</body>", narrow + SEEN.replace("WIDTH", str(width)) + "</body>"), encoding="utf-8")
    dom, *_ = _opened(file, folder, f"--window-size={max(width, 500)},900", "--hide-scrollbars")
    return re.search(r"<title>(\d+ mistakes.*?)</title>", dom, flags=re.DOTALL)[1]


@pytest.mark.parametrize("width", [390, 1280])
def test_on_a_phone_and_a_screen_nothing_overlaps_or_is_cut(html, width, tmp_path):
    assert _look(html, tmp_path, width) == "0 mistakes: "


def test_a_browser_sees_what_overlaps(html, tmp_path):
    worse = html.replace("overflow-wrap: anywhere; }", "white-space: nowrap; max-width: 3rem; }")
    assert "runs over" in _look(worse, tmp_path, 1280)


# -- Cases -------------------------------------------------------------------------------------------------------


def test_a_bad_case_is_worse_than_a_base_and_a_good_one_better(dossier):
    low, base, high = (dossier.cases[name]["value"] for name in ("low", "base", "high"))
    assert low < base < high


def test_the_base_case_is_a_world_with_every_number_at_its_median():
    deal = load("scenarios/peterborough.yaml")
    asked = sensitivity(deal, 16, structures=["as signed"])
    tornado = asked["structures"]["as signed"]["multiple"]["tornado"]
    base = cases(deal, tornado, "as signed", DRAWS)["base"]["value"]
    plan = compile_plan(deal)

    def median(rows):
        for index, column in enumerate(plan.columns):
            if not column.quantity.is_fixed:
                rows[:, index] = np.clip(np.median(column.quantity.quantile(np.array([0.5]))), column.low, column.high)

    world = Worlds()(Simulation(plan, 1, ["as signed"], change=median), DRAWS, kept=(ledger.MULTIPLE,))
    assert base == pytest.approx(np.nanmean(world.found["as signed"][:, 0]))
