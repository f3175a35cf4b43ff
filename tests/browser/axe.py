"""What axe finds wrong with a page: the one place that runs it."""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Frame, Page

_SCRIPT = Axe().axe_script
# Rows of a table or list are mostly made alike, and cost more than all the rest of a page: `make test` judges the first
# dozen, the full matrix all (tests/browser/conftest.py).
_ROWS = ":is(tbody > tr, ol > li):nth-child(n + 13)"
every_row = True


def findings(page: Page | Frame, impact: tuple[str, ...] = (), within: str = "", rules: tuple[str, ...] = ()) -> list:
    """(rule, the elements' beginnings) of each violation: of these impacts, within this selector, by rules with these
    tags, else all. Without 'unsafe-eval' axe can only be run by the browser's own protocol, as here.
    """
    page.evaluate(_SCRIPT)
    options = {"resultTypes": ["violations"]} | ({"runOnly": list(rules)} if rules else {})
    found = page.evaluate(
        """async ([within, rows, options]) => {
            const { violations } = await axe.run({ include: [[within]], exclude: rows }, options);
            return violations.map(({ id, impact, nodes }) => [id, impact, nodes.map(({ html }) => html)]);
        }""",
        [within or "html", [] if every_row else [[_ROWS]], options],
    )
    return [(rule, [html[:200] for html in nodes]) for rule, how, nodes in found if not impact or how in impact]


def serious(page: Page | Frame) -> None:
    """No serious or critical finding of axe."""
    assert findings(page, impact=("serious", "critical")) == []
