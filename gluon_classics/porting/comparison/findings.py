"""What a comparison found, and its report."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
import json

PHASES = (
    *("weights", "input", "eval", "train", "loss", "gradients"),
    *("running statistics", "optimizer", "free run", "preprocessing"),
)
UNKNOWN = "unknown cause"
LEVELS = {
    "F": "forward",
    "T": "training outputs and loss",
    "G": "gradients",
    "S": "three steps and running statistics",
    "D": "float64, 100 steps",
    "P": "preprocessing",
}


@dataclass
class Finding:
    """A divergence of a port.

    Attributes:
        phase: One of `PHASES`.
        layer: Name of the operation, parameter or tensor that diverges.
        cause: What is wrong, as a sentence without its full stop, or "unknown cause".
        residual: Relative L2 error of what the port recorded, measured against the definition.
        limit: Largest residual of a correct port.
        reason: Why the limit is what it is.
        variant_residual: Relative L2 error measured against the named cause.
        alternatives: Other causes that fit as well: the recorded values cannot tell them apart.
        runners_up: The next best causes, which do not fit, with their residuals.
        suspects: Operations without recorded outputs that may be at fault.
        also: Other phases and layers with the same cause.
        notes: What else is worth knowing.
    """

    phase: str
    layer: str
    cause: str
    residual: float
    limit: float
    reason: str
    variant_residual: float | None = None
    alternatives: list = field(default_factory=list)
    runners_up: list = field(default_factory=list)
    suspects: list = field(default_factory=list)
    also: list = field(default_factory=list)
    notes: list = field(default_factory=list)

    @property
    def named(self) -> bool:
        """Whether the cause is known."""
        return self.cause != UNKNOWN

    def line(self) -> str:
        """Return the finding in one line."""
        return f"{self.phase}: {self.layer}: {self.cause} ({self.evidence()})"

    def evidence(self) -> str:
        """Return the residuals as text."""
        text = f"relative error {self.residual:.2g} as defined, limit {self.limit:.1g}"
        if self.variant_residual is not None:
            text += f"; {self.variant_residual:.2g} with this cause"
        return text

    def details(self) -> list:
        """Return lines of further evidence."""
        lines = [f"limit {self.limit:.1g}: {self.reason}"]
        if self.suspects:
            lines.append(f"not recorded, so perhaps at fault: {', '.join(self.suspects)}")
        if self.alternatives:
            lines.append(f"cannot be distinguished from: {'; '.join(self.alternatives)}")
        if self.runners_up:
            ranked = "; ".join(f"{name} ({residual:.2g})" for name, residual in self.runners_up)
            lines.append(f"{'does not fit' if self.named else 'nearest, but none fits'}: {ranked}")
        if self.also:
            shown = ", ".join(self.also[:6]) + (f" and {len(self.also) - 6} more" if len(self.also) > 6 else "")
            lines.append(f"also in: {shown}")
        return lines + self.notes


@dataclass
class Report:
    """The result of a comparison.

    Attributes:
        findings: Divergences, the first one first.
        checked: Number of checks in each phase.
        unchecked: What was not checked and why.
        notices: Remarks on the port's file.
        level: Letters of the levels that the port reaches; see `LEVELS`.
        differences: Largest relative error per phase, of what conforms.
    """

    findings: list = field(default_factory=list)
    checked: dict = field(default_factory=lambda: dict.fromkeys(PHASES, 0))
    unchecked: list = field(default_factory=list)
    notices: list = field(default_factory=list)
    level: str = ""
    differences: dict = field(default_factory=dict)

    def add(self, finding: Finding) -> None:
        """Take a finding into account. The same cause in the same layer in another phase is not a new finding.

        Nor is the same cause in another layer, for weights and running statistics.
        """
        for other in self.findings:
            is_alike = other.phase == finding.phase and other.cause == finding.cause and finding.named
            if is_alike and finding.phase in ("weights", "running statistics") and other.layer != finding.layer:
                other.also.append(f"{finding.phase}: {finding.layer}")
                return
            if (other.layer, other.cause) == (finding.layer, finding.cause):
                if other.phase != finding.phase:
                    other.also.append(f"{finding.phase}: {finding.layer}")
                return
        self.findings.append(finding)

    def note_error(self, phase: str, error: float) -> None:
        """Remember the largest relative error of what conforms."""
        self.differences[phase] = max(self.differences.get(phase, 0.0), error)

    def of_phases(self, *phases) -> list:
        """Return the findings of these phases."""
        return [finding for finding in self.findings if finding.phase in phases]

    def in_phase(self, phase: str) -> list:
        """Return the findings of this phase, including those that were found in an earlier phase too."""
        also = f"{phase}: "
        return [row for row in self.findings if row.phase == phase or any(text.startswith(also) for text in row.also)]

    @property
    def conforms(self) -> bool:
        """Whether there is no divergence."""
        return not self.findings

    @property
    def first(self) -> Finding | None:
        """The first divergence."""
        return self.findings[0] if self.findings else None

    def text(self, everything: bool = False) -> str:
        """Return the report as text. Its first line is the first divergence, or "conforms".

        Args:
            everything: Whether to describe every divergence, not only the first one.
        """
        checks = ", ".join(f"{phase} {count}" for phase, count in self.checked.items() if count)
        lines = []
        if self.first is None:
            lines.append(f"conforms{'' if 'F' in self.level else ' as far as it was recorded'}: {checks}")
        for finding in self.findings if everything else self.findings[:1]:
            lines += [finding.line(), *(f"  {line}" for line in finding.details())]
        if len(self.findings) > 1 and not everything:
            lines.append(f"{len(self.findings) - 1} more: {'; '.join(_short(f) for f in self.findings[1:4])}")
        if self.findings:
            lines.append(f"checked: {checks}")
        if self.differences:
            largest = ", ".join(f"{phase} {error:.1g}" for phase, error in self.differences.items())
            lines.append(f"largest relative error of what conforms: {largest}")
        lines += [f"not checked: {text}" for text in self.unchecked]
        lines += [f"note: {text}" for text in self.notices]
        return "\n".join([*lines, f"level reached: {self.level_text()}"])

    def level_text(self) -> str:
        """Return the levels reached, in words."""
        return ", ".join(f"{letter} ({LEVELS[letter]})" for letter in self.level) or "none"

    def to_json(self) -> str:
        """Return the report as JSON text."""
        document = {
            "schema": "gluon-classics comparison",
            "version": 1,
            "conforms": self.conforms,
            "level": self.level,
            "findings": [asdict(finding) for finding in self.findings],
            "checked": self.checked,
            "largest_errors": self.differences,
            "unchecked": self.unchecked,
            "notices": self.notices,
        }
        return json.dumps(_without_infinities(document), indent=1)


def _short(finding):
    return f"{finding.phase}: {finding.layer}: {finding.cause}"


def _without_infinities(value):
    """Return the value with null instead of numbers that JSON does not have."""
    if isinstance(value, dict):
        return {key: _without_infinities(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_infinities(item) for item in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value
