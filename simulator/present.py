"""What a present value is: its rate, whether that is real or nominal, its date, and the index between the two."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simulator.deal import Deal, Worded


def present_values(deal: Deal) -> dict[str, Any]:
    """Say how every present value of an answer is made.

    All of them are of nominal flows at a nominal rate, at the start of the deal; a rate that the file states as real is
    raised by inflation, draw by draw, and gives what the same flows in prices of the start are worth at the real rate.

    Returns
    -------
    dict
        ``date`` (ISO), ``flows``, ``prices`` (of the file), ``inflation``, ``deflator`` (or None), ``cost_inflation``
        (or None), and by discounter (``investor``, ``payer``) its ``rate`` a year, as the file says it, and ``base``.
    """
    rates, real = deal.rates, deal.time.prices == "real"
    return {
        "date": deal.time.date(0),
        "flows": "nominal",
        "prices": f"real, of {deal.time.start.text()}" if real else "nominal",
        "inflation": rates.inflation.text(),
        "deflator": rates.deflator,
        "cost_inflation": None if rates.cost_inflation is None else rates.cost_inflation.text(),
        "investor": _rate(rates.investor),
        "payer": _rate(rates.payer),
    }


def _rate(stated: Worded) -> dict[str, str]:
    return {"rate": stated.quantity.text(), "base": stated.form or "nominal"}


def said(found: Mapping[str, Any], *whose: str) -> str:
    """Say it in one line, such as `present values at 2010-09-01 of nominal flows: payers at 3.5% a year real, …`.

    Parameters
    ----------
    found
        What :func:`present_values` returns.
    whose
        ``investor``, ``payer``; both by default.
    """
    rates = [
        f"{each}s at {found[each]['rate']} a year {found[each]['base']}" for each in whose or ("investor", "payer")
    ]
    index = "inflation" if found["deflator"] is None else f"inflation ({found['deflator']})"
    words = f"present values at {found['date']} of nominal flows: {', '.join(rates)}, {index} {found['inflation']}"
    if found["prices"] != "nominal":
        words += f"; money of the file is {found['prices']}"
    return words


def brief(found: Mapping[str, Any], whose: str) -> str:
    """Say rate, base and date in a few words, for labels: `3.5% a year real, at 2010-09-01`."""
    return f"{found[whose]['rate']} a year {found[whose]['base']}, at {found['date']}"
