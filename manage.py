#!/usr/bin/env python
"""Moonwalk's command line: `python manage.py help` lists the commands."""

import gc
import os
import sys


def main() -> None:
    # Loading makes half a million objects that stay: with Python's usual 700 a fifth of a start goes into looking for
    # garbage. Commands that run long still look.
    gc.set_threshold(20_000)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "moonwalk.settings")
    try:
        from django.core.management import execute_from_command_line
    except ImportError as e:
        raise SystemExit(
            f"Django is not installed in this Python ({sys.executable}): run `make demo` or "
            "`pip install -r requirements.txt` first."
        ) from e
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
