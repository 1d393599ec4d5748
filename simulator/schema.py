"""The JSON Schema of the deal file, for editors: keys, words, examples with units, and what each means.

Types say what fits (:mod:`simulator.deal`); this module says it as editors understand it: the docstring of a field
is its description, a default is written as in a file, and only what `sib check` accepts is offered.
"""

from __future__ import annotations

import ast
import inspect
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

from simulator import deal as described
from simulator.deal import Deal, plain_value
from simulator.quantity import Quantity

_DRAFT = "https://json-schema.org/draft/2020-12/schema"


class _ForEditors(GenerateJsonSchema):
    """No `null` (an empty value is a mistake), no titles of keys, defaults as a file would say them."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> dict[str, Any]:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> dict[str, Any]:
        made = super().default_schema(schema)
        if made.get("default", "") in (None, {}, []):
            del made["default"]
        return made

    def encode_default(self, dft: Any) -> Any:
        if isinstance(dft, BaseModel):
            return None  # its own keys have defaults
        return plain_value(dft) if isinstance(dft, (Quantity, described.Worded)) else super().encode_default(dft)

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of the deal file.

    Returns
    -------
    dict
        It accepts every file that `sib check` accepts (the reverse cannot be: rules join parts).
    """
    made = _simplified(Deal.model_json_schema(by_alias=True, schema_generator=_ForEditors))
    definitions = made["$defs"]
    for name, texts in _texts().items():
        properties = (made if name == "Deal" else definitions.get(name, {})).get("properties", {})
        for key, text in texts.items():
            if key in properties:
                forms = [_taken(properties[key]), *map(_taken, properties[key].get("anyOf", []))]
                properties[key]["description"] = "\n\n".join(dict.fromkeys([text, *filter(None, forms)]))
    made["properties"]["currency"]["examples"] = ["GBP", "EUR", "USD"]
    made["properties"]["quantities"]["additionalProperties"]["examples"] = ["10% ± 4%", "5% to 15%", "1.2m"]
    definitions["Table"]["properties"]["points"]["examples"] = [[["7.5%", "1m"], ["10%", "2m"]]]
    made["$schema"] = _DRAFT
    # a file that extends another needs to say nothing itself
    made["if"], made["else"] = {"required": ["extends"]}, {"required": made.pop("required")}
    made["properties"]["extends"] = {
        "type": "string",
        "description": "A deal file whose values are taken where this one has none.",
    }
    return made


def _taken(form: dict[str, Any]) -> str:
    """Take the description out of a form of a value: an editor shows one, that of the key."""
    return str(form.pop("description", ""))


def _simplified(schema: Any) -> Any:
    """Replace oneOf by anyOf, each form once: a word such as `none` is text too, so that two forms may fit."""
    if isinstance(schema, list):
        return [_simplified(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {"anyOf" if key == "oneOf" else key: _simplified(value) for key, value in schema.items()}
    made.pop("discriminator", None)
    if isinstance(text := made.get("description"), str):
        made["description"] = text.replace("`", "")  # editors show it as it is
    if isinstance(forms := made.get("anyOf"), list):
        made["anyOf"] = [form for place, form in enumerate(forms) if form not in forms[:place]]
    return made


def _texts() -> dict[str, dict[str, str]]:
    """What the docstrings under the fields of each model say, by model and key of the file; {} without sources."""
    try:
        tree = ast.parse(inspect.getsource(described))
    except OSError:  # an installation may come without sources
        return {}
    found: dict[str, dict[str, str]] = {}
    for node in tree.body:
        model = getattr(described, node.name, None) if isinstance(node, ast.ClassDef) else None
        if not (isinstance(node, ast.ClassDef) and isinstance(model, type) and issubclass(model, BaseModel)):
            continue
        bases = [each.id for each in node.bases if isinstance(each, ast.Name)]
        found[node.name] = {key: text for base in bases for key, text in found.get(base, {}).items()}
        for field, text in zip(node.body, node.body[1:], strict=False):
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(field.target, ast.Name)
                and isinstance(text, ast.Expr)
                and isinstance(text.value, ast.Constant)
            ):
                key = model.model_fields[field.target.id].alias or field.target.id
                found[node.name][key] = inspect.cleandoc(str(text.value.value)).replace("`", "")
    return found
