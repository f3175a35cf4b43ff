"""A laundry of its own for a test: a data folder with its database, worked on by child processes alone.

They begin warm (tests/warm.py), what is started with serve() from nothing, as in real life.
"""

import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from etl.warehouse import Warehouse
from tests import databases, warm
from tests.conftest import ROOT


class House:
    """A data folder with its database, worked on by child processes alone; a copy of the folder `like`, if given."""

    def __init__(self, root: Path, key: str = "", like: Path | None = None):
        self.root, self.key = root, key
        if like:
            databases.copy(like, root)
        self.environment = {
            "MOONWALK_WAREHOUSE_KEY": key,
            "PATH": os.environ["PATH"], "MOONWALK_ENV_FILE": "", "MOONWALK_DATA_DIR": str(root), "LOG_LEVEL": "ERROR",
        } | databases.environment_of(root)  # fmt: skip

    def run(self, *arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run(warm.command(*arguments), cwd=ROOT, env=self.environment, capture_output=True, text=True,
                              timeout=120)  # fmt: skip

    def start(self, *arguments: str) -> subprocess.Popen:
        return self._begin(warm.command(*arguments))

    def serve(self, *arguments: str) -> subprocess.Popen:
        """Started from nothing: a server that is tested itself."""
        return self._begin(self.command(*arguments))

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, *arguments]

    def _begin(self, command: list[str]) -> subprocess.Popen:
        return subprocess.Popen(command, cwd=ROOT, env=self.environment, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)  # fmt: skip

    def manage(self, *arguments: str) -> str:
        """What a command says."""
        done = self.run("manage.py", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def shell(self, code: str) -> None:
        """What somebody does who knows the models."""
        self.manage("shell", "--no-imports", "-v0", "-c", code)

    def add_root(self, password: str) -> None:
        """A superuser named root."""
        made = f"User.objects.create_superuser('root', 'root@example.com', {password!r})"
        self.shell(f"from django.contrib.auth.models import User; {made}")

    def refresh(self, point: str = "", what: str = "refresh") -> subprocess.CompletedProcess:
        return self.run("-m", "tests.operations.child", point, what)

    def pay(self, order: str, amount: str, *how: str) -> None:
        """Record a payment in a process of its own; "queue": with the refresh that follows it."""
        paid = self.run("-m", "tests.operations.child", "pay", order, amount, *how)
        assert paid.returncode == 0, paid.stderr

    def rows(self, sql: str) -> list[tuple]:
        return databases.rows(self.root, sql)

    @property
    def warehouse(self) -> Warehouse:
        return Warehouse(self.root / "warehouse", self.key)

    def orders(self) -> dict[str, str]:
        """What the desk sees: order -> total."""
        return {pk: f"{total:.2f}" for pk, total in self.rows("SELECT order_id, total FROM operations_order")}

    def settled(self, order: str) -> tuple[str, str]:
        """What the pages see of an order: collections, balance."""
        with closing(self.warehouse.connect()) as con:
            return tuple(f"{v:.2f}" for v in con.execute(
                "SELECT collections, balance FROM sales WHERE order_id = ?", [order]).fetchone())  # fmt: skip

    def built_orders(self) -> dict[str, str]:
        """What the pages see: order -> total."""
        with closing(self.warehouse.connect()) as con:
            return {pk: f"{total:.2f}" for pk, total in con.execute("SELECT order_id, total FROM orders").fetchall()}
