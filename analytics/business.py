"""The facts of the business file that the settings name: one reader for pages, services and phones."""

from functools import lru_cache
from pathlib import Path

from django.conf import settings

from etl.business import Business, load_business


@lru_cache(maxsize=1)
def _business(path: Path, changed: int) -> Business:
    return load_business(path)


def business() -> Business:
    """The business file's facts; read again when it changes. Raises BusinessError when it can't be read."""
    path = settings.BUSINESS_FILE
    path = path if isinstance(path, Path) else Path(path)  # a page asks 200 times: no Path is made of a Path
    try:
        changed = path.stat().st_mtime_ns
    except OSError:  # it says what is wrong
        return load_business(path)
    return _business(path, changed)
