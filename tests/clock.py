"""A process whose clock is some days ahead: python -m tests.clock DAYS MODULE ARGUMENTS...

What happens tomorrow is seen by a server that lives tomorrow, over today's data: Django's clock, which every day and
time in Moonwalk comes from, is moved before anything else is loaded. Nothing that was recorded is touched.
"""

import runpy
import sys
from datetime import timedelta

from django.utils import timezone


def main(days: str, module: str, *arguments: str) -> None:
    real, ahead = timezone.now, timedelta(days=int(days))
    timezone.now = lambda: real() + ahead
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
