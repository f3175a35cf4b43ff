"""docs/metrics.md and docs/insights.md, made from METRICS and RULES: `python -m analytics.docs` writes them."""

from pathlib import Path

from analytics.insights import BEFORE, CHANGE, LEVEL, MEAN4, RULES, WEEK, YEAR, Rule
from analytics.metrics import FACTS, FORMULA, GRAINS, METRICS, Metric

DOCS = Path(__file__).parent.parent / "docs"
# The sections of analytics/metrics.py, each with its first metric.
SECTIONS = {
    "Executive Pulse": "customers",
    "Customer Analytics": "new_customers",
    "Operations Center": "delivery_revenue",
    "Financial Performance": "collections",
}
FACTS_TITLE = "Figures of no period"
MADE = "<!-- Made by `python -m analytics.docs` from {source}: change that file, then run it again. -->\n"

METRICS_HEAD = """# Metrics

Every figure that is a number a period, as `analytics/metrics.py` defines it. `manage.py metrics NAME --by month`
prints it; pages, insights, exports and reports name it.

## Ground rules

- **Sales row**: one order, subscription payment or invoice payment (`kind`) of a consumer. Business accounts'
  orders are on file, not in the figures.
- **Earned**: a figure counts rows on the day they were earned. An order is earned when it is cleaned, and not
  before; an order of the old system when it was cleaned, else when it was placed; subscription and invoice payments
  on their payment date.
- **Item row**: one item line of a consumer. It counts with its order: on the day the order was earned, for the
  order's customer. An orphan (its order is not in the Orders export) counts on the day the line was placed. So
  items and revenue of a period describe the same orders.
- **Revenue** is the order's total, the subscription's amount, and 0 for an invoice payment: that is money for
  revenue earned before.
- **Collections** is money received: the amount of a subscription or invoice payment; an order's total once it is
  paid, but 0 where it is to be invoiced, as its money arrives as an invoice payment. They count in the period in
  which the row was earned.
- **Under subscription**: an order earned inside one of its customer's subscription periods, both ends included.
- **Active customer**: has an earned row other than an invoice payment in the period. Every count of customers
  counts active ones.
- **Cohort month**: the month of sign-up (old system: of the first order placed) or of the first earned row,
  whichever is earlier. Months since cohort: from that month to the month of the row. A customer is new in the
  cohort month.
- **The old system** (RePOS) recorded neither items nor payments. In a period with rows of it, what is marked "none
  with the old system" has no value, and no change in items or collections is measured against it. Its customers and
  those of CleanCloud are separate records, so "new" is inflated in the months of the change-over.
- **Periods**: day, ISO week (`2026-W07`), calendar month (`2026-02`) and quarter (`2026-Q1`). A period is closed
  when it ended before the exports' date; the open one is "so far" and never compared with a full one. The year
  before of a week is the week of the same ISO number.
- **Store, area**: of the row's store; of the customer's route. Cohorts, concentration, RFM and lifetimes are of the
  whole business.
- **Ratios** are sums over sums, never averages of averages. A zero denominator gives no value, shown as a dash.
- **Days** are calendar dates apart.
- **Target**: what a figure is to reach in a month, of the whole business or of a store, as management set it. While
  the month runs, a sum is judged by its pace: so far x days of the month / days that are over.
- **Owed** (not a metric, as it exists for the exports' date alone): CleanCloud orders of consumers that are earned
  and unpaid. The old system's are assumed paid. Aged by the days since they were placed: 0-30, 31-60, 61-90, over
  90.

## How to read the tables

Unit: count; money, in the business's currency; share, 0 to 1; days; ratio. SQL runs over the earned rows of the
table named with it (`sales`, `items`, `customer_months`); names in braces are other metrics, `{previous.name}` that
of the period before. "By": the grains it exists for; "split": what it can be split by. "Better": whether more is
good (up) or bad (down).
"""

INSIGHTS_HEAD = """# Insights

What the rules of `analytics/insights.py` say of the last closed month and the last closed ISO week, for all stores
and for each store. They are computed while the data is refreshed and stored with it, so that the same exports
always say the same; no language model is asked.

- A rule is silent when it lacks a value: no period to compare with, nothing to divide by, or, where the table says
  so, rows of the old system, which kept neither items nor payments. A rule whose sentence needs no comparison
  speaks without.
- A change must go beyond its limit; a figure that equals the limit of "good" is good. Where a table gives no limit,
  the rule states a fact and is always neutral.
- pp: percentage points, the way from one share to another.
- Months differ in length. Where a day's worth would be judged otherwise than the month's, the detail says so; the
  tone follows the month.
- Seasons (Ramadan, Eid al-Fitr, Eid al-Adha, UAE National Day) that touch the period are named above the insights,
  the Islamic ones as calculated.
"""


def metrics_page() -> str:
    """The text of docs/metrics.md."""
    lines = [MADE.format(source="analytics/metrics.py"), METRICS_HEAD]
    firsts = {first: title for title, first in SECTIONS.items()}
    for metric in METRICS.values():
        if metric.name in firsts:
            lines += [
                f"\n## {firsts[metric.name]}\n",
                "| name | label | unit | what it is | SQL | by | split | better |",
                "|---|---|---|---|---|---|---|---|",
            ]
        lines.append(_row(*_metric(metric)))
    lines += [f"\n## {FACTS_TITLE}\n", "| figure | unit | what it is |", "|---|---|---|"]
    lines += [_row(fact.label, fact.unit, fact.description) for fact in FACTS.values()]
    return "\n".join(lines) + "\n"


def _row(*cells: str) -> str:
    return "| " + " | ".join(c.replace("|", "\\|") for c in cells) + " |"


def _metric(metric: Metric) -> tuple[str, ...]:
    what = metric.description + (" None with the old system." if metric.legacy_has_none else "")
    sql = f"`{metric.sql}`" + ("" if metric.mart == FORMULA else f" of {metric.mart}")
    by = "all" if metric.grains == GRAINS else ", ".join(metric.grains)
    splits = ", ".join(metric.splits) or "–"
    return f"`{metric.name}`", metric.label, metric.unit, what, sql, by, splits, metric.better or "–"


def insights_page() -> str:
    """The text of docs/insights.md."""
    lines = [MADE.format(source="analytics/insights.py"), INSIGHTS_HEAD]
    for grain in dict.fromkeys(rule.grain for rule in RULES):
        rules = [rule for rule in RULES if rule.grain == grain]
        lines += [
            f"\n## The {len(rules)} of a {grain}\n",
            "| rule | category | says | compared with | good | bad | apart from that |",
            "|---|---|---|---|---|---|---|",
            *(_row(*_rule(rule)) for rule in rules),
        ]
    return "\n".join(lines) + "\n"


def _rule(rule: Rule) -> tuple[str, ...]:
    says = rule.headline.replace("{label}", METRICS[rule.metric].label) if rule.metric in METRICS else rule.headline
    for field, sign in (("compared", "3 % above …"), ("value", "…"), ("shown", "…"), ("shift", "+1.2 pp")):
        says = says.replace(f"{{{field}}}", sign)
    good, bad = limits(rule)
    return f"`{rule.name}`", rule.category, says, _base(rule), good, bad, _apart(rule)


def _base(rule: Rule) -> str:
    before = "the week before" if rule.grain == WEEK else "the month before"
    words = {BEFORE: before, YEAR: "the same month a year before", MEAN4: "the mean of the 4 weeks before"}
    compares = "{base}" in rule.detail + rule.against or rule.looks_at == CHANGE
    return words[rule.base] if compares and not rule.metric.startswith("outstanding") else "–"


def limits(rule: Rule) -> tuple[str, str]:
    """When a rule's tone is positive and when negative, in words; a dash for never."""
    down = rule.better == "down"
    if rule.looks_at is None:
        return "–", "–"
    if rule.looks_at == LEVEL:
        times, unit = (100, "%") if rule.unit == "share" else (1, rule.unit)
        return (
            "–" if rule.good is None else f"{rule.good * times:g} {unit} or {'less' if down else 'more'}",
            "–" if rule.bad is None else f"{'over' if down else 'under'} {rule.bad * times:g} {unit}",
        )
    unit = "%" if rule.looks_at == CHANGE else "pp"
    better, worse = ("less", "more") if down else ("more", "less")
    return f"over {rule.good * 100:g} {unit} {better}", f"over {-rule.bad * 100:g} {unit} {worse}"


def _apart(rule: Rule) -> str:
    words = []
    if rule.whole_only:
        words.append("of the whole business only")
    if rule.lacking:
        words.append("silent with rows of the old system")
    if rule.old_note:
        words.append("neutral near rows of the old system")
    return "; ".join(words) or "–"


def write(folder: Path = DOCS) -> None:
    """Write both pages."""
    folder.mkdir(exist_ok=True)
    (folder / "metrics.md").write_text(metrics_page(), encoding="utf-8")
    (folder / "insights.md").write_text(insights_page(), encoding="utf-8")


if __name__ == "__main__":
    write()
