"""Read a conformance suite: a folder of compact traces, with NumPy alone."""

from __future__ import annotations

from dataclasses import dataclass
import json
from pathlib import Path

from .reference_trace import ReferenceTrace
from .tensor_file import PortError, brief, open_file, shown

SUITE = "suite.json"
SUITE_SCHEMA, SUITE_VERSION = "gluon-classics suite", 1


@dataclass(frozen=True)
class Suite:
    """A conformance suite.

    Attributes:
        folder: Its folder.
        files: Path of each trace in the folder, by the trace's name: "networks/NAME.zip", "operations/NAME.zip" and
            "long/NAME.zip", which are traces of 100 steps in float64.
    """

    folder: Path
    files: dict

    @classmethod
    def load(cls, folder) -> Suite:
        """Return the suite of a folder.

        Raises:
            PortError: The folder is not a suite.
        """
        path = Path(folder, SUITE)
        with open_file(path) as stream:
            content = stream.read()
        try:
            document = json.loads(content.decode("utf-8"))
        except (ValueError, RecursionError) as error:
            raise PortError(f"{path} is not JSON: {brief(error)}. Write the suite again") from error
        if not isinstance(document, dict) or document.get("schema") != SUITE_SCHEMA:
            raise PortError(f"{path} does not describe a suite. Write the suite again")
        if document.get("version") != SUITE_VERSION:
            raise PortError(
                f"the suite {folder} has version {shown(document.get('version'))}. Use the release that wrote it"
            )
        try:
            files = {str(row["name"]): str(row["file"]) for row in document["traces"]}
        except (KeyError, TypeError) as error:
            raise PortError(f"{path} is damaged: {brief(error)}. Write the suite again") from error
        return cls(Path(folder), files)

    def names(self, group: str = "networks") -> list:
        """Return the names of the traces in "networks", "operations" or "long"."""
        return [name for name, file in self.files.items() if file.startswith(f"{group}/")]

    def path(self, name: str) -> Path:
        """Return the path of a trace, which `compare` and `assert_conforms` take.

        Raises:
            PortError: The suite does not contain this trace.
        """
        if name not in self.files:
            raise PortError(f"the suite {self.folder} has no trace {name!r}. Choose a name that is in {SUITE}")
        return self.folder / self.files[name]

    def trace(self, name: str) -> ReferenceTrace:
        """Return a trace. Raises PortError."""
        return ReferenceTrace.load(self.path(name))
