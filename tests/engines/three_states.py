"""What a role sees of the rules, held against what a superuser sees: nothing may pass that it could not see."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from dbops.cli.views.doctor import grants_sql
from dbops.engines.base.advice import Verdict
from dbops.engines.base.connect import Target
from dbops.engines.base.url import parse_url
from dbops.usecases.doctor import examine
from dbops.usecases.runtime import engine_for, open_workspace

MOVING = frozenset({"PG-TXN-001", "PG-TXN-002", "PG-TXN-003", "PG-TXN-004", "MY-TXN-001", "MY-TXN-002"})
"""What goes on changes from one look to the next."""


def verdicts(url: str, thresholds: dict[str, dict[str, float]]) -> dict[str, Verdict]:
    """Ask every rule as the account of a URL."""
    target = Target("seen", parse_url(url))
    engine = engine_for(target.url)
    with closing(engine.connect(target, readonly=True)) as conn:
        return {verdict.rule.id: verdict for verdict in engine.advice.ask(conn, engine.advice.rules, thresholds)}


def lies(seen: dict[str, Verdict], truth: dict[str, Verdict]) -> dict[str, str]:
    """Return the rules that are answered otherwise than they are for a superuser, without being unknown."""
    found = {}
    for id_, verdict in seen.items():
        objects, true = {one.object for one in verdict.findings}, {one.object for one in truth[id_].findings}
        if verdict.state != "unknown" and id_ not in MOVING and (verdict.state, objects) != (truth[id_].state, true):
            found[id_] = f"{verdict.state} {sorted(objects)[:3]}, and in truth {truth[id_].state} {sorted(true)[:3]}"
    return found


def unknown(seen: dict[str, Verdict]) -> dict[str, Verdict]:
    """Return what could not be answered."""
    return {id_: verdict for id_, verdict in seen.items() if verdict.state == "unknown"}


def sees_what_is_true_and_all_once_granted(
    folder: Path, url: str, admin_url: str, run_as_admin: Callable[[str], object], thresholds: dict[str, dict[str, float]]
) -> list[str]:
    """Hold an account against a superuser, run what `doctor --grants` prints, and hold it again; return what is hidden still."""
    truth = verdicts(admin_url, thresholds)
    assert unknown(truth) == {}
    assert lies(verdicts(url, thresholds), truth) == {}
    (folder / "c.yaml").write_text(f"apiVersion: dbops/v1\nkind: Connection\nmetadata: {{name: shop}}\nspec: {{url: '{url}'}}\n")
    with open_workspace(folder) as workspace:
        (before,) = examine(workspace)
    assert before.error is None and before.grants
    run_as_admin(grants_sql([before]))
    seen = verdicts(url, thresholds)
    assert unknown(seen) == {} and lies(seen, truth) == {}
    with open_workspace(folder) as workspace:
        (after,) = examine(workspace)
    assert after.grants == []
    return [blind.what for blind in after.blind]
