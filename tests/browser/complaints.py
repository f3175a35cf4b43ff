"""What a browser page complained of."""

from playwright.sync_api import Page


def complaints_of(page: Page) -> list[str]:
    """The list to which every error and warning of the page's console, its scripts, its requests and answers is added
    from now on. A request that the browser itself gave up as the page was left or loaded again is none.
    """
    noted: list[str] = []

    def note(said: str) -> None:
        if "net::ERR_ABORTED" not in said:
            noted.append(said)

    page.on("console", lambda m: m.type in ("error", "warning") and note(m.text))
    page.on("pageerror", lambda error: note(str(error)))
    page.on("requestfailed", lambda r: note(f"{r.url}: {r.failure}"))
    page.on("response", lambda r: r.status >= 400 and note(f"{r.status} {r.url}"))
    return noted
