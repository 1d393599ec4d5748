"""What ends a structure early, what goes wrong, and what the provider is paid, each in one plain English sentence."""

from __future__ import annotations

from collections.abc import Iterable

from simulator.deal import Break, Deal, Finance, ServiceAgreement, Structure, Worded, quantity_of
from simulator.quantity import Quantity


def ending_words(deal: Deal, name: str) -> list[str]:
    """Say the terms of a resolved structure that are no clauses, where it has any."""
    structure = deal.structures[name]
    said = Said(deal)
    found = [said.review(label, terms) for label, terms in (structure.breaks or {}).items()]
    if structure.breaks or structure.after_an_early_end is not None:
        found.append(_run_off(structure))
    if isinstance(structure.finance, Finance):
        found += said.no_money(structure.finance)
    if structure.service_agreement is not None:
        found.append(said.service_agreement(structure.service_agreement))
    for who, costs in (("Costs", structure.costs), ("The payers' own costs", structure.payer_costs)):
        if costs is not None and costs.overrun is not None:
            found.append(f"{who} turn out {costs.overrun.text()} higher than planned.")
    if deal.provider_failure is not None:
        failure = deal.provider_failure
        found.append(
            f"The provider fails after {failure.after.text()} of service; for {failure.gap.text()} nobody is referred, "
            f"until another has taken over for {said.sum(failure.cost)}."
        )
    return found


def _run_off(structure: Structure) -> str:
    if structure.after_an_early_end == "claims end":
        return "Once service has ended early, only what is known by the end of the next period is paid for."
    return "Once service has ended early, later results of people already referred are still paid for."


def listed(words: Iterable[str], last: str = "and") -> str:
    """Join words as a sentence does."""
    each = list(words)
    return each[0] if len(each) == 1 else f"{', '.join(each[:-1])} {last} {each[-1]}"


def had(enough: Worded) -> str:
    """Say a return that somebody has had: `5% a year`, `1.2 times their capital`."""
    if enough.form != "times":
        return enough.text()
    times = enough.quantity
    return f"{times.value:.6g} times their capital" if times.is_fixed else f"{times.text()} of their capital"


class Said:
    """Words for the parts of a deal."""

    def __init__(self, deal: Deal) -> None:
        self.deal = deal

    def sum(self, quantity: Quantity) -> str:
        """Write a sum of money; one that has a name with its mean."""
        text = quantity.text()
        if quantity.kind == "named":
            found = quantity_of(self.deal, quantity)
            return f"the {text} ({'' if found.is_fixed else 'about '}{self.deal.currency} {found.mean():,.0f})"
        return f"{self.deal.currency} {quantity.value:,.15g}" if quantity.is_fixed else text

    def cost(self, cost: Worded) -> str:
        """Write a cost: a sum and when it falls."""
        return f"{self.sum(cost.quantity)} {cost.form}"

    def review(self, name: str, each: Break) -> str:
        """Say a break."""
        conditions = [f"{measure} is {bound.text()}" for measure, bound in each.when.items()]
        words = f"Review {name!r} at the end of {each.review.text()}: "
        words += f"if {listed(conditions)}" if conditions else ""
        if each.unless:
            words += (" and " if conditions else "if ") + f"{listed(map(repr, each.unless), 'or')} was not met by then"
        notice = quantity_of(self.deal, each.notice)
        when = "" if notice.is_fixed and notice.value == 0 else f" after {each.notice.text()} of notice"
        return f"{words}, referrals and service stop{when}."

    def no_money(self, finance: Finance) -> list[str]:
        """Say what happens when the money runs out, where it is more than an advance."""
        words = []
        if finance.rules("defer fees"):
            words.append("fees of management and evaluation wait")
        if words or finance.rules("wind up"):
            words.append("the provider advances what is lacking")
        if finance.rules("stop referrals"):
            words.append("referrals and service stop")
        if finance.rules("wind up"):
            words.append("referrals, service and claims stop")
        return [f"When capital and receipts do not cover costs, {', then '.join(words)}."] if words else []

    def service_agreement(self, agreed: ServiceAgreement) -> str:
        """Say what the vehicle pays the provider."""
        parts = []
        if agreed.cost_plus is not None:
            parts.append(f"what delivery costs and {agreed.cost_plus.text()} of it")
        parts += [f"{self.cost(fee)} ({name})" for name, fee in (agreed.fees or {}).items()]
        if agreed.cost_plus is None and agreed.fees is None:
            parts.append("what delivery costs")
        if agreed.share_of_payments is not None:
            parts.append(f"{agreed.share_of_payments.text()} of what the payers pay")
        return f"The vehicle pays the service provider {listed(parts)}; the provider bears what delivery costs."
