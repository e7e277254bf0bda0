"""What a check finds, and how it is said."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

Verdict = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    name: in a few words. verdict: ok; warn: something is worse than it could be, or missing for some uses; fail: it
    does not work. text: a sentence. advice: what to do, a sentence; empty where there is nothing to do.
    """

    name: str
    verdict: Verdict
    text: str
    advice: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def worst(findings: "list[Finding]") -> Verdict:
    """Of all verdicts."""
    verdicts = {one.verdict for one in findings}
    return "fail" if "fail" in verdicts else "warn" if "warn" in verdicts else "ok"
