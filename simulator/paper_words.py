"""The investors' own paper in plain English: what it earns, who is paid first, who else pays, what a fund takes."""

from __future__ import annotations

from collections.abc import Callable

from simulator.deal import (
    INVESTORS,
    Coupon,
    Deal,
    Finance,
    Fund,
    Guarantee,
    MoneyTable,
    RateTable,
    ShareTable,
    Stage,
    Table,
    Tranche,
    Worded,
)
from simulator.ending_words import Said, had, listed
from simulator.quantity import Quantity


def paper_words(deal: Deal, name: str) -> list[str]:
    """Say the finance agreement of a resolved structure, sentence by sentence; nothing where there is none."""
    finance = deal.structures[name].finance
    if not isinstance(finance, Finance):
        return []
    said = _Paper(deal, finance)
    found = [said.tranche(each, tranche) for each, tranche in finance.papers.items()]
    found += [said.calls(), said.order(), *said.rest(), *said.others()]
    if finance.fund is not None:
        found += said.fund(finance.fund)
    return found


def table_words(
    table: Table | RateTable | ShareTable | MoneyTable,
    level: Callable[[Quantity], str],
    amount: Callable[[Quantity], str],
) -> str:
    """Say the rows of a table, with words for its levels and for what they pay."""
    rows = [f"{amount(table.below)} below {level(table.points[0][0])}"]
    rows += [f"{amount(paid)} from {level(at)}" for at, paid in table.points]
    if table.above is not None:
        rows.append(f"{amount(table.above)} above {level(table.points[-1][0])}")
    return listed(rows) + (" (in a straight line between)" if table.between == "straight line" else "")


class _Paper(Said):
    def __init__(self, deal: Deal, finance: Finance) -> None:
        super().__init__(deal)
        self.finance = finance

    # -- Each class of investors ----------------------------------------------------------------------------

    def tranche(self, name: str, tranche: Tranche) -> str:
        """Say one class of paper."""
        parts = [f"up to {self.sum(tranche.commitment)}"]
        parts.append("no interest" if tranche.coupon is None else self.coupon(tranche.coupon))
        if tranche.matures is None:
            parts.append("repaid as cash comes in")
        elif tranche.principal is None:
            parts.append(f"due in {tranche.matures.text()}")
        else:
            share = self.table(tranche.principal.table)
            parts.append(
                f"due in {tranche.matures.text()} by {tranche.principal.by}, and what is not due is lost: {share}"
            )
        if tranche.redeemed_early is not None:
            share = self.table(tranche.redeemed_early)
            parts.append(f"if service ends early, due at once by years since the start: {share}")
        if tranche.backed_by == "provider":
            parts.append("what is due and the account cannot pay, the service provider pays")
        return f"{name}: {'; '.join(parts)}."

    def coupon(self, coupon: Coupon) -> str:
        """Say what capital earns."""
        what = "interest"
        if coupon.table is not None:
            what += f" a year by {coupon.by}: {self.table(coupon.table)}"
        elif coupon.rate is not None:
            what += f" of {coupon.rate.text()} a year"
        paid = {
            "in cash": f"paid every {coupon.every}",
            "accrued": "added to what earns interest",
            "at maturity": "compounded over the whole term",
        }
        what += f", {paid[coupon.paid]}"
        if coupon.at_least is not None:
            years = "" if coupon.at_least.in_ is None else f" in {coupon.at_least.in_.text()}"
            what += f", at least {coupon.at_least.rate.text()}{years}"
        return what if coupon.at_most is None else f"{what}, at most {coupon.at_most.text()}"

    def table(self, table: RateTable | ShareTable | MoneyTable) -> str:
        """Say the rows of a table."""
        return table_words(table, self.number, self.number)

    def number(self, quantity: Quantity) -> str:
        """Write money as money, and anything else as it stands."""
        return self.sum(quantity) if quantity.unit == "money" else quantity.text()

    # -- The account ----------------------------------------------------------------------------------------

    def calls(self) -> str:
        """Say when capital is called, and what receipts are for."""
        called = self.finance.called
        if isinstance(called, Worded):
            words = f"Capital is called {called.quantity.text()} ahead of planned costs, less cash in hand"
        else:
            words = "All capital is called at the start"
        if len(self.finance.papers) > 1:
            in_turn = f"{listed(self.finance.papers)} in turn"
            words += f", from {in_turn}" if self.finance.drawn == "in turn" else ", from all in proportion"
        first = "planned costs still to come before investors" if self.finance.recycled else "investors as they come in"
        return f"{words}; receipts pay {first}."

    def order(self) -> str:
        """Say who is paid first."""
        actions = self.finance.waterfall or self.finance.usual_waterfall()
        words = {"advances": "what the provider advanced", "planned costs": "planned costs", "rest": "what is left"}
        words |= {"guarantor": "what a guarantor paid"}
        named = []
        for action in actions:
            if isinstance(action, str):
                named.append(words.get(action, action))
                continue
            ((what, whose),) = action.items()
            who = [whose] if isinstance(whose, str) else whose
            named.append(what if len(self.finance.papers) == 1 else f"{what} of {listed(who)}")
        return f"Cash is paid out in this order: {', '.join(named)}."

    def rest(self) -> list[str]:
        """Say who has what is left."""
        finance = self.finance
        if finance.residual is not None:
            return [f"What is left goes {'; then '.join(self.stage(each) for each in finance.residual)}."]
        share = finance.surplus_to_investors
        if share is None or (share.is_fixed and share.value == 0):
            return ["What is left goes to the service provider."]
        if share.is_fixed and share.value == 1:
            return [f"What is left goes to {self.everybody}."]
        return [f"Of what is left {share.text()} goes to {self.everybody}, the rest to the service provider."]

    @property
    def everybody(self) -> str:
        """The investors, of whatever class."""
        return "the investors" if len(self.finance.papers) == 1 else "all tranches, by capital called"

    def stage(self, stage: Stage) -> str:
        """Say one stage of the split of what is left."""
        names = {"provider": "the service provider"}
        words = listed(f"{share.text()} to {names.get(who, who)}" for who, share in stage.to.items())
        for who, enough in (stage.until or {}).items():
            words += f", until {who} have had {had(enough)}"
        return words

    def others(self) -> list[str]:
        """Say what else belongs to the agreement."""
        finance, found = self.finance, []
        if finance.reserve is not None:
            found.append(f"{self.sum(finance.reserve)} stays in the account until service ends.")
        for giver, grant in (finance.grants or {}).items():
            found.append(f"{giver} gives {self.cost(grant)}, which nobody pays back.")
        if finance.deferred is not None:
            kinds = ("delivery", "management", "evaluation")
            parts = [(kind, getattr(finance.deferred, kind)) for kind in kinds]
            waits = [f"{share.text()} of {kind}" for kind, share in parts if share is not None]
            if waits:
                found.append(f"{listed(waits)} waits until the order of payments reaches it, and may never be paid.")
        for guarantee in finance.guarantees.values():
            fee = "" if guarantee.fee is None else f", for a fee of {self.cost(guarantee.fee)}"
            found.append(f"{self.guarantee(guarantee)}{fee}.")
        return found

    def guarantee(self, guarantee: Guarantee) -> str:
        """Say what one guarantor promises."""
        if guarantee.recovery is not None:
            what = f"tops the capital that was repaid up to {guarantee.recovery.text()} of what was called"
        elif guarantee.share_of_loss is not None:
            what = f"pays {guarantee.share_of_loss.text()} of the capital that was not repaid"
        elif guarantee.amount is not None:
            what = f"pays up to {self.sum(guarantee.amount)} of the capital that was not repaid"
        else:
            assert guarantee.by_capital_called is not None
            table = self.table(guarantee.by_capital_called)
            what = f"pays, within the capital that was not repaid, by the capital that was called: {table}"
        to = "" if guarantee.of is None else f" to {guarantee.of}"
        when = "at the end" if guarantee.due is None else f"in {guarantee.due.text()}"
        back = ", and is repaid from what comes in later" if guarantee.repaid else ""
        return f"{guarantee.guarantor} {what}{to}, {when}{back}"

    # -- A fund that holds it -------------------------------------------------------------------------------

    def fund(self, fund: Fund) -> list[str]:
        """Say what a fund that holds the paper charges its own investors."""
        held = "all of this paper" if fund.of in {None, INVESTORS} else f"the paper of {fund.of}"
        found = [f"A fund holds {held}; what follows is between the fund and those who invest in it."]
        if fund.set_up is not None:
            found.append(f"They pay {self.sum(fund.set_up)} for setting it up.")
        for name, fee in (fund.fees or {}).items():
            when = "as long as service runs or capital is outstanding"
            when = when if fee.in_ is None else f"in {fee.in_.text()}"
            found.append(f"{name}: {fee.share.text()} a year of {_OF[fee.of]}, {when}.")
        carry = fund.carry
        if carry is not None:
            zero = carry.above.is_fixed and carry.above.value == 0
            enough = "all that they paid" if zero else f"all that they paid and {carry.above.text()} a year on it"
            words = f"Once they have had {enough}, its manager has {carry.share.text()} of what follows"
            if carry.catch_up is not None:
                words += (
                    f", and before that {carry.catch_up.text()} until it has {carry.share.text()} of the whole profit"
                )
            found.append(f"{words}.")
        return found


_OF = {"commitment": "what is committed", "capital outstanding": "the capital called and not yet repaid"}
