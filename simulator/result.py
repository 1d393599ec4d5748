"""What a run found: estimates with their errors, as plain data by the names of the interface, and per-draw arrays."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Answer(Mapping[str, Any]):
    """Plain data whose keys can also be read as attributes: ``answer.investor.irr.p50``."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._data = data

    def __getitem__(self, key: str) -> Any:
        value = self._data[key]
        return Answer(value) if isinstance(value, dict) else value

    def __iter__(self) -> Iterator[str]:
        return iter(self._data)

    def __len__(self) -> int:
        return len(self._data)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"no {name!r} here; there is: {', '.join(self._data)}") from None

    def __repr__(self) -> str:
        return f"Answer({', '.join(self._data)})"


class Result:
    """The result of a simulation.

    Parameters
    ----------
    data
        Everything by the names of the interface.
    draws
        By structure and metric, one value a draw (NaN where undefined).
    """

    def __init__(self, data: dict[str, Any], draws: Mapping[str, Mapping[str, Floats]]) -> None:
        self._data = data
        self._draws = draws

    def __getitem__(self, structure: str) -> Answer:
        """Return the answers of one structure."""
        return Answer(self._data["structures"][structure])

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(Answer(self._data), name)

    @property
    def structures(self) -> list[str]:
        """Names of the structures, in the order of the file."""
        return list(self._data["structures"])

    def draws(self, structure: str) -> dict[str, Floats]:
        """Return per-draw arrays by metric name; secondary metrics keep the first 262,144 draws."""
        return {name: array.copy() for name, array in self._draws[structure].items()}

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, as `sib run --format json` prints it."""
        copied: dict[str, Any] = json.loads(self.to_json())
        return copied

    def to_json(self) -> str:
        """Return JSON; what is not defined is null, never NaN."""
        return json.dumps(self._data, indent=2, ensure_ascii=False, allow_nan=False)

    def rows(self) -> Iterator[tuple[str, str, str, str, Any, Any]]:
        """Yield long rows: structure, party, metric, statistic, value, standard_error."""
        for name, outcome in self._data["outcomes"].items():
            for metric in ("verified", "true", "without_service", "additional"):
                yield from _statistics("", "outcomes", f"{name}: {metric}", outcome[metric])
        for structure, answers in self._data["structures"].items():
            for clause, found in answers["triggers"].items():
                yield from _statistics(structure, "triggers", clause, found)
            for metric in ("payments", "payments_present_value", "uncapped_payments"):
                yield from _statistics(structure, "contract", metric, answers[metric])
            for party in ("investor", "payer", "provider"):
                yield from _party(structure, party, answers[party] or {})
            for payer, found in answers["payers"].items():
                yield from _party(structure, f"payer: {payer}", found)


def _party(structure: str, party: str, answers: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str, Any, Any]]:
    for metric, found in answers.items():
        if metric == "tranches":
            for name, each in found.items():
                yield from _party(structure, f"{party}: {name}", each)
        elif metric == "net":
            yield from _party(
                structure, f"{party}: net of fund", {key: each for key, each in found.items() if key != "of"}
            )
        elif metric == "by_year":
            for year in found:
                where = f"cost {year['year']}"
                yield structure, party, where, "mean", year["mean"], year["standard_error"]
                for statistic in ("p50", "p95", "maximum"):
                    yield structure, party, where, statistic, year[statistic], None
        elif metric == "cost_per_additional_outcome":
            for outcome, each in found.items():
                yield from _statistics(structure, party, f"{metric}: {outcome}", each)
        else:
            yield from _statistics(structure, party, metric, found)


def _statistics(
    structure: str, party: str, metric: str, found: Mapping[str, Any] | None
) -> Iterator[tuple[str, str, str, str, Any, Any]]:
    if found is None:
        yield structure, party, metric, "value", None, None
        return
    for statistic, value in found.items():
        if statistic in {"standard_error", "interval", "intervals"} or isinstance(value, (dict, list)):
            continue
        error = found.get("standard_error") if statistic in {"mean", "value", "probability"} else None
        yield structure, party, metric, statistic, value, error
