"""The JSON Schema: it accepts what is accepted, and an editor is offered only what is accepted, with its meaning."""

import json
import random
from pathlib import Path

import pytest
from deals import deal_files
from hypothesis import HealthCheck, given, settings
from jsonschema import Draft202012Validator
from pydantic import BaseModel, TypeAdapter, ValidationError
from test_bad_deals import GOOD, mutated

from simulator import deal as described
from simulator.deal import Deal, Model
from simulator.dealfile import load, loads, show
from simulator.schema import schema
from simulator.yamlfile import DealError, read, read_text

SCENARIOS = sorted((Path(__file__).parent.parent / "scenarios").glob("*.yaml"))
MADE = schema()
VALIDATOR = Draft202012Validator(MADE)
MODELS = {
    name: each
    for name, each in vars(described).items()
    if isinstance(each, type) and issubclass(each, BaseModel) and each is not Model
}
KEYS = [(name, field.alias or key) for name, each in MODELS.items() for key, field in each.model_fields.items()]
each_key = pytest.mark.parametrize(("name", "key"), KEYS, ids=[f"{name}.{key}" for name, key in KEYS])


def parts(name):
    return (MADE if name == "Deal" else MADE["$defs"][name])["properties"]


def flagged(data):
    return [error.message for error in VALIDATOR.iter_errors(data)]


def field_of(name, key):
    """The type of a field by its key in the file."""
    field = next(each for other, each in MODELS[name].model_fields.items() if key in {other, each.alias})
    kind = field.annotation
    for more in field.metadata:
        kind = described.Annotated[kind, more]
    return TypeAdapter(kind)


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_the_deals_that_ship_are_accepted(path):
    assert flagged(read(path).data) == []
    assert flagged(read_text(show(load(path)), "shown").data) == []


@given(deal_files())
@settings(derandomize=True, deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
def test_generated_deals_are_accepted(data):
    assert flagged(json.loads(json.dumps(data))) == []


def test_no_mutated_deal_is_accepted_by_the_checks_and_flagged_in_the_editor():
    chance, accepted = random.Random(11), 0
    for _ in range(400):
        text = mutated(GOOD, chance)
        try:
            loads(text)
        except DealError:
            continue
        accepted += 1
        assert flagged(read_text(text, "deal").data) == [], text
    assert accepted > 60


@each_key
def test_every_key_says_what_it_means(name, key):
    assert len(parts(name)[key]["description"]) > 8


def offered(part):
    """What an editor offers for a value."""
    for form in (part, *part.get("anyOf", [])):
        yield from form.get("examples", [])
        yield from form.get("enum", [])
        yield from [form[key] for key in ("const", "default") if key in form]


@each_key
def test_what_is_offered_for_a_key_is_accepted(name, key):
    kind = field_of(name, key)
    for value in offered(parts(name)[key]):
        assert value is not None
        kind.validate_python(value)


def test_a_value_that_is_no_offer_would_be_refused():
    with pytest.raises(ValidationError):
        field_of("Costs", "delivery").validate_python("640000 a fortnight")
    assert {"640000 a year", "600 per person"} <= set(offered(parts("Costs")["delivery"]))


@pytest.mark.parametrize(
    ("name", "key", "values"),
    [
        ("Outcome", "effect", {"10% ± 4%"}),
        ("Outcome", "trend", {"-2% a year"}),
        ("Outcome", "counts", {"yes or no", "events", "amount", "score", "milestones"}),
        ("Outcome", "without_service", {"as with service", "10% to 20%"}),
        ("ComparisonArm", "people", {"10 per person"}),
        ("Finance", "called", {"at the start", "1 quarter ahead"}),
        ("Structure", "finance", {"none"}),
        ("Clause", "for", {"each participant", "each cohort", "all cohorts that ran", "the contract"}),
        ("Cohort", "referred", {"2024-04 to 2026-03"}),
        ("Cohort", "last_claim", {"none"}),
        ("Cohort", "referrals", {"100%"}),
        ("Measure", "against", {"comparison_arm", "baseline", "before"}),
    ],
)
def test_words_and_units_are_offered(name, key, values):
    assert values <= set(offered(parts(name)[key]))


def test_bounds_of_a_clause_are_offered():
    bounds = parts("Clause")["when"]["additionalProperties"]["examples"]
    assert "at least 10%" in bounds
    for bound in bounds:
        field_of("Clause", "when").validate_python({"measure": bound})


def test_nothing_is_offered_that_would_be_empty():
    assert '"null"' not in json.dumps(MADE)
    assert Deal.model_json_schema() != MADE  # as it would be: with null, and with Python's defaults
    assert '"null"' in json.dumps(Deal.model_json_schema())
