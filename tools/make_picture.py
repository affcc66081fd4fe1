"""Draw docs/terminal.svg, the README's picture of real output: python tools/make_picture.py"""

import io
from pathlib import Path
import re
import subprocess
import sys
import tempfile

from gluon_classics._files import write_text
from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parents[1]
RUN = "runs/lenet"
COMMANDS = (
    ["train", "lenet", "--epochs", "3", "--lr", "0.05", "--out", RUN],
    ["predict", RUN, "examples/ankle-boot.png"],
)


def main():
    console = Console(record=True, width=110, file=io.StringIO())
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "examples").symlink_to(ROOT / "examples")
        for arguments in COMMANDS:
            console.print(Text("$ gluon-classics " + " ".join(arguments), style="bold"))
            command = [sys.executable, "-m", "gluon_classics", *arguments]
            result = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            if result.returncode:
                sys.exit(result.stdout)
            console.print(Text(result.stdout.rstrip()))
    picture = console.export_svg(title="gluon-classics")
    picture = re.sub(r"@font-face \{.*?\}\n", "", picture, flags=re.DOTALL)  # the picture must not load fonts
    write_text(ROOT / "docs" / "terminal.svg", picture)


if __name__ == "__main__":
    main()
