"""Takes the pictures of docs/screenshots: every tab of every page, at a desk and on a phone. `make screenshots`.

It serves the demo of a folder of its own on a free port, looks at it as the administrator and stops it again.
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

    tabs = {f"{d.page}-{t.slug}": f"/{d.page}/?tab={t.slug}" for d in DASHBOARDS.values() for t in d.tabs}
    follow = "/follow/operations/stops/?grain=month"
    return {"home": "/", **tabs, "follow": follow, "customer": "/customer/CC-0533/", "definitions": "/definitions/"}


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
            take(address, CHROMIUM, FLAGS)
        finally:
            server.terminate()
            server.wait(10)


def _answers(address: str) -> bool:
    try:
        return urllib.request.urlopen(address, timeout=2).status == 200
    except OSError:
        return False


def take(address: str, chromium: str, flags: list[str]) -> None:
    """Every page in every look, whole pages, into docs/screenshots."""
    OUT.mkdir(parents=True, exist_ok=True)
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
            for name, path in pages().items():
                page.goto(address + path)
                if page.locator("#charts").count():
                    page.wait_for_selector("#charts[data-painted]")
                page.wait_for_load_state("networkidle")
                page.screenshot(path=OUT / f"{name}-{look}.jpg", full_page=True, type="jpeg", quality=74)
                print(f"{name}-{look}.jpg")
            context.close()
        browser.close()


if __name__ == "__main__":
    main()
