"""statement.typ and data in, PDF out: a program of its own, run by operations.statements for each PDF.

A process that ends gives its memory back: typst keeps what it laid out for its next ten documents, gigabytes in a web
server that prints many statements. People's data comes and goes through pipes, never through a file or an argument.

Input: JSON {"data": {..., "date": {year, month, day}}, "tags": bool, "system_fonts": bool}.
"""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import typst

FOLDER = Path(__file__).parent


def main() -> None:
    asked = json.load(sys.stdin.buffer)
    fonts = typst.Fonts(include_system_fonts=asked["system_fonts"], font_paths=[FOLDER / "fonts"])
    pdf = typst.compile(
        FOLDER / "statement.typ",
        root=FOLDER,
        font_paths=fonts,
        sys_inputs={"data": json.dumps(asked["data"])},
        timestamp=datetime(**asked["data"]["date"], tzinfo=UTC),
        format="pdf",
        pdf_tags=asked["tags"],
    )
    sys.stdout.buffer.write(pdf)


if __name__ == "__main__":
    main()
