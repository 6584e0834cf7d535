"""What a walk found, step by step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from bench.argued import GRANTS, MOMENT, MOMENTS, reason
from bench.chains.desk import told
from bench.chains.histories import NotLoaded
from dbops.errors import DbopsError

Verdict = Literal["passed", "failed", "argued", "noted", "invalid"]

#: What tells from the answer to a question that it is no failure, and why it is none.
ARGUED = {
    rf"(?:ALTER TABLE \S+ ALTER COLUMN \S+ SET {MOMENT}[^\n]*(?:\n|$))+$": MOMENTS,
    rf"(?:CREATE TABLE [^\n]*\n(?:-(.*) {MOMENT}(.*)\n\+\1 {MOMENT}\2(?:\n|$))+)+$": MOMENTS,
    r"(?:GRANT [^\n]*\n-GRANT SELECT ON TABLE \S+ TO PUBLIC\n\+(?:\n|$))+$": GRANTS,
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One question about one schema; `argued` differs by design, `noted` is worth knowing and no failure."""

    history: str
    question: str
    verdict: Verdict
    detail: str = ""


@dataclass(slots=True)
class Findings:
    """The findings about one history."""

    history: str
    found: list[Finding] = field(default_factory=list)

    def say(self, question: str, problem: str | None) -> bool:
        """Record the answer to a question, `problem` being None where there is none; return whether that is so."""
        why = reason(problem, ARGUED) if problem else None
        verdict: Verdict = "passed" if problem is None else "argued" if why else "failed"
        self.found.append(Finding(self.history, question, verdict, why or problem or ""))
        return problem is None

    def note(self, question: str, text: str) -> None:
        """Record what is worth knowing."""
        self.found.append(Finding(self.history, question, "noted", text))

    @contextmanager
    def asking(self, question: str) -> Iterator[None]:
        """Record what goes wrong inside the block as the answer to `question`."""
        try:
            yield
        except NotLoaded as error:
            self.found.append(Finding(self.history, question, "invalid", str(error)))
        except DbopsError as error:
            self.say(question, told(error))
        except Exception as error:  # a crash is an answer, too
            self.say(question, f"crash: {type(error).__name__}: {error}")
