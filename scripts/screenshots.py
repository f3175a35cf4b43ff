"""Takes the pictures of docs/screenshots: every tab of every page, at a desk and on a phone. `make screenshots`.

It serves the demo of a folder of its own on a free port, looks at it as the administrator and stops it again. Names of
pictures as arguments: those alone.
"""

import os
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
OUT = ROOT / "docs" / "screenshots"
PASSWORD = "for-the-pictures-only"
# A desk by day and a phone by night show both schemes without twice as many files.
LOOKS = {"desk": (1440, 900, "light"), "phone": (390, 844, "dark")}


def pages() -> dict[str, str]:
    """Name of the picture -> address."""
    from analytics.dashboards import DASHBOARDS
    from operations.models import Customer, RefreshRun

    tabs = {f"{d.page}-{t.slug}": f"/{d.page}/?tab={t.slug}" for d in DASHBOARDS.values() for t in d.tabs}
    # the customer of whom the demo has something of everything
    customer = f"/customer/{Customer.objects.with_conflicts().get().pk}/"
    return {
        "home": "/", **tabs, "follow": "/follow/operations/stops/?grain=month", "customer": customer,
        "worklist": "/operations/receivables/", "pay": "/operations/receivables/", "send": customer,
        "paid-here": "/operations/receivables/paid-here/", "search": "/operations/search/?q=novak",
        "upload": "/operations/upload/", "definitions": "/definitions/",
        "run": f"/admin/operations/refreshrun/{RefreshRun.objects.filter(state='published').first().pk}/change/",
    }  # fmt: skip


TALLEST = 3000  # px of a picture: lists go on
AT_SIGHT = ("run",)  # what is seen without scrolling: the admin's bars stay where they are
# Pictures of a dialog: what is pressed on the page first.
PRESSED = {"pay": "tr[data-row] a.act[data-row-key=p]", "send": ".deeds a.act[href*='/send/']"}


def papers() -> dict[str, str]:
    """Name of the picture -> address of a PDF: the board report, statements of who owes most and has paid a part."""
    from operations.models import Order

    paid = Order.objects.outstanding().filter(paid_here__gt=0, b2b=False).order_by("-balance", "pk").first()
    whose = f"/operations/statement.pdf?customer={paid.customer_id}&language="
    return {"statement-english": f"{whose}en", "statement-arabic": f"{whose}ar", "board-report": "/report.pdf"}


def main() -> None:
    from tests.conftest import CHROMIUM, FLAGS, free_port, wait_for

    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        environment = os.environ | {
            "MOONWALK_DATA_DIR": folder, "MOONWALK_ENV_FILE": "", "DJANGO_SETTINGS_MODULE": "moonwalk.settings",
            "MOONWALK_HASHED_STATIC": "", "DJANGO_SUPERUSER_PASSWORD": PASSWORD,
        }  # fmt: skip
        manage = [sys.executable, str(ROOT / "manage.py")]

        def run(*command: str) -> None:
            subprocess.run([*manage, *command], env=environment, check=True, cwd=ROOT)

        run("demo")
        run("createsuperuser", "--no-input", "--username", "owner", "--email", "owner@example.com")
        address = f"http://127.0.0.1:{port}"
        server = subprocess.Popen(
            [*manage, "runserver", "--insecure", "--noreload", f"127.0.0.1:{port}"], env=environment, cwd=ROOT
        )
        try:
            wait_for(lambda: _answers(f"{address}/login/"))
            os.environ.update(environment)
            import django

            django.setup()
            take(address, CHROMIUM, FLAGS, sys.argv[1:])
        finally:
            server.terminate()
            server.wait(10)


def _answers(address: str) -> bool:
    try:
        return urllib.request.urlopen(address, timeout=2).status == 200
    except OSError:
        return False


def take(address: str, chromium: str, flags: list[str], only: list[str]) -> None:
    """Every page in every look, whole pages, into docs/screenshots; `only`: those of these names, if any."""
    OUT.mkdir(parents=True, exist_ok=True)
    wanted = {name: path for name, path in pages().items() if not only or name in only}
    printed = {name: path for name, path in papers().items() if not only or name in only}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        for look, (width, height, scheme) in LOOKS.items():
            context = browser.new_context(
                viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce"
            )
            page = context.new_page()
            page.goto(f"{address}/login/")
            page.get_by_label("User name").fill("owner")
            page.get_by_label("Password").fill(PASSWORD)
            page.get_by_role("button", name="Sign in").click()
            page.wait_for_load_state()
            for name, path in wanted.items():
                page.goto(address + path)
                if page.locator("#charts").count():
                    page.wait_for_selector("#charts[data-painted]")
                page.wait_for_load_state("networkidle")
                if name in PRESSED:
                    page.locator(PRESSED[name]).first.click()
                    page.wait_for_selector("dialog[open] form")
                picture, whole = OUT / f"{name}-{look}.jpg", name not in (*PRESSED, *AT_SIGHT)
                tall = min(page.evaluate("document.documentElement.scrollHeight"), TALLEST) if whole else height
                clip = {"x": 0, "y": 0, "width": width, "height": tall}
                page.screenshot(path=picture, full_page=whole, clip=clip, type="jpeg", quality=74)
                print(picture.name)
            if look == "desk":
                for name, path in printed.items():
                    draw_first_page(page.request.get(address + path).body(), OUT / name)
            context.close()
        browser.close()


def draw_first_page(pdf: bytes, picture: Path) -> None:
    """The first page of a PDF as a picture of this name, without its .jpg."""
    command = ["pdftoppm", "-jpeg", "-r", "100", "-f", "1", "-singlefile", "-", str(picture)]
    subprocess.run(command, input=pdf, check=True)
    print(f"{picture.name}.jpg")


if __name__ == "__main__":
    main()
