"""A .typ file and data in, PDF out: each in a process of its own, which is this file run as a program.

A process that ends gives its memory back: typst keeps what it laid out for its next ten documents, gigabytes in a web
server that prints many statements. People's data comes and goes through pipes, never through a file or an argument.

The program's input: JSON {"template": a .typ file's path, "data": {..., "date": {year, month, day}}, "tags": bool,
"standards": ["ua-1"], "system_fonts": bool}. The template finds its data in sys.inputs.data, and the fonts beside this
file.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

FOLDER = Path(__file__).parent
SECONDS = 120  # a server that is as busy as that has other worries


class NotTypeset(Exception):
    """No PDF came of it. Its text is how the process ended, and no more: what it said has people's names in it."""


def pdf(template: Path, data: dict, *, tags: bool = True, standards: Sequence[str] = ()) -> bytes:
    """The PDF that a .typ file makes of `data`. Raises NotTypeset.

    data: anything JSON takes; its "date" {year, month, day} is the document's. tags: for screen readers; they take ten
    times as long in documents of many parts. standards: those it must keep to ("ua-1": whoever can't see reads it too),
    else there is none.
    """
    text = json.dumps(data, ensure_ascii=False)
    asked = {
        "template": str(template),
        "data": data,
        "tags": tags,
        "standards": list(standards),
        # Looked for only when a letter isn't in our fonts: on some servers there are thousands.
        "system_fonts": any(c > "\u06ff" and not "\u2000" <= c <= "\u2bff" for c in text),
    }
    try:
        done = subprocess.run(
            [sys.executable, "-I", Path(__file__)], input=json.dumps(asked).encode(), capture_output=True,
            timeout=SECONDS, check=True,
        )  # fmt: skip
    except (subprocess.SubprocessError, OSError) as error:
        raise NotTypeset(str(getattr(error, "returncode", None) or type(error).__name__)) from None
    return done.stdout


def main() -> None:
    import typst

    asked = json.load(sys.stdin.buffer)
    template = Path(asked["template"])
    made = typst.compile(
        template,
        root=template.parent,
        font_paths=typst.Fonts(include_system_fonts=asked["system_fonts"], font_paths=[FOLDER / "fonts"]),
        sys_inputs={"data": json.dumps(asked["data"])},
        timestamp=datetime(**asked["data"]["date"], tzinfo=UTC),
        format="pdf",
        pdf_tags=asked["tags"],
        pdf_standards=asked["standards"],
    )
    sys.stdout.buffer.write(made)


if __name__ == "__main__":
    main()
