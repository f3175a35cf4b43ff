"""What can go wrong on the way from exports to warehouse, said in a sentence for a person."""


class MoonwalkError(Exception):
    """Base of every error whose text may be shown to a person as it is."""


class ExportError(MoonwalkError):
    """An export cannot be used. The text names the file, the column where there is one, and what to do."""


class BusinessError(MoonwalkError):
    """The business file is missing or says something impossible. The text names the setting and the mend."""


class CheckError(MoonwalkError):
    """A fatal check found bad rows in a candidate build, so it is not published."""


class WarehouseError(MoonwalkError):
    """No build, no such build, or a wrong or missing key."""
