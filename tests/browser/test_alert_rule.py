"""The form of an alert rule in a real Chromium: what it would say stands there while one types, the limit has its unit,
and what doesn't fit the figure can't be chosen. Collection rate of February 2026: 79.3 % (golden/expected.json)."""

import pytest
from playwright.sync_api import expect

from analytics.models import AlertRule
from tests.browser.axe import findings

pytestmark = pytest.mark.browser


def test_a_rule_is_typed_seen_and_saved(visit):
    visitor = visit()
    page = visitor.open("/admin/analytics/alertrule/add/")
    now, limit = page.locator("[data-alert-now]"), page.locator("[name=limit]")
    expect(now).to_contain_text("Fill in the rule")
    page.fill("[name=name]", "Collections low")
    page.select_option("[name=metric]", "collection_rate")
    limit.fill("80")
    expect(now).to_contain_text("Collection rate below 80 %: 79.3 % in February 2026")
    expect(page.locator('label[for="id_limit"]')).to_have_text("Limit, in %")
    page.select_option("[name=condition]", "missing")
    expect(limit).to_be_disabled()
    page.select_option("[name=metric]", "m1_customers")
    for option in ('[name=grain] option[value="week"]', '[name=store] option[value="Hielo"]'):
        expect(page.locator(option)).to_be_disabled()
    page.select_option("[name=metric]", "collection_rate")
    page.select_option("[name=condition]", "below")
    expect(limit).to_be_enabled()
    assert findings(page, within="#alertrule_form", rules=("wcag2a", "wcag2aa")) == []
    page.click("[name=_save]")
    page.wait_for_url("**/alertrule/")
    saved = AlertRule.objects.get(name="Collections low")
    assert (saved.metric, saved.condition, saved.limit) == ("collection_rate", "below", 80)
    assert visitor.complaints == []
