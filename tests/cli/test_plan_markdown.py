"""The Markdown view of plans: its size, its order, and text that tries to break out."""

from __future__ import annotations

import re

from hypothesis import given

from dbops.cli.views.markdown import LIMIT, fenced, plain, plan_markdown
from dbops.reconcile.change import Change
from dbops.reconcile.plan import Entry, Plan, Rehearsal
from dbops.reconcile.step import Step
from dbops.sql.hazard import Hazard
from dbops.sql.statement import Statement
from tests.cli.plans import ALLOWED, CREATE, DROP, plan_of, plans


def test_a_plan_reads_as_expected() -> None:
    assert (
        plan_markdown(plan_of(CREATE, DROP, rehearsal=Rehearsal(True, 0.04, ("shop",))))
        == """\
## dbops plan: environments/shop

⛔ **Blocked** by 1 hazard. After review: `dbops apply --allow DELETES_DATA`

| create | update | replace | delete | run |
|---:|---:|---:|---:|---:|
| 1 | 0 | 0 | 1 | 0 |

### Hazards

| hazard | change | what may happen |
|---|---|---|
| **DELETES_DATA** (blocks) | <code>schema/shop/table/users/column/email</code> | email of about 12,000 rows is lost |
| LOCK_QUEUE | <code>schema/shop/table/users/column/email</code> | users is locked |

### Changes

<details><summary><b>create</b> <code>schema/shop/table/orders</code>: not in the database</summary>

<code>shop/schema.sql:3:1</code>

```sql
CREATE TABLE orders (
  id integer PRIMARY KEY
);
```

</details>

<details><summary><b>delete</b> <code>schema/shop/table/users/column/email</code>: drift: not in the source</summary>

```sql
ALTER TABLE users DROP COLUMN email;
```

about 12,000 rows, 3.1 MiB, no undo

</details>


<sub>Rehearsed on a scratch copy in 40 ms · dbops 1.2.3 · 2026-01-31T12:00:00Z</sub>
"""
    )


def test_an_empty_plan_says_no_changes() -> None:
    assert "✅ No changes." in plan_markdown(plan_of())


def test_allowed_hazards_do_not_block() -> None:
    assert "⚠️ Ready to apply, with 1 hazard." in plan_markdown(plan_of(ALLOWED))


def test_a_failed_rehearsal_is_the_verdict() -> None:
    assert "⛔ **The rehearsal did not come out right.**" in plan_markdown(plan_of(CREATE, rehearsal=Rehearsal(False, 1.0)))


@given(plans)
def test_any_plan_fits_into_a_comment(plan: Plan) -> None:
    assert len(plan_markdown(plan).encode()) < LIMIT


@given(plans)
def test_details_open_and_close_and_fences_pair(plan: Plan) -> None:
    text = plan_markdown(plan)
    fence, depth = "", 0
    for line in text.split("\n"):
        if fence:
            fence = "" if line == fence else fence
        elif opened := re.fullmatch(r"(`{3,})(sql|text)", line):
            fence = opened[1]
        else:
            depth += line.count("<details>") - line.count("</details>")
            assert depth in (0, 1)
    assert (fence, depth) == ("", 0)


def test_the_sql_of_the_least_dangerous_changes_goes_first() -> None:
    padding = "x" * 20_000
    harmless = [_entry(f"h{n}", "create", padding) for n in range(4)]
    dangerous = _entry("danger", "delete", padding, Hazard("DELETES_DATA", "rows are lost"))
    text = plan_markdown(plan_of(*harmless, dangerous))
    assert "danger " + padding in text
    assert text.count(padding) == 3
    assert all(f"schema/s/table/h{n}" in text for n in range(4))
    assert "**Left out for length:** the SQL of 2 changes." in text


def test_blocking_hazards_stay_longest() -> None:
    many = [_entry(f"t{n}", "create", "x" * 50, Hazard("INDEX_BUILD", "m" * 280)) for n in range(500)]
    last = _entry("danger", "delete", "x", Hazard("DELETES_DATA", "rows are lost"))
    text = plan_markdown(plan_of(*many, last))
    assert "| **DELETES_DATA** (blocks) | <code>schema/s/table/danger</code> | rows are lost |" in text
    assert re.search(r"Left out for length:\*\* the SQL of \d+ changes, \d+ hazards\.", text)


def test_sql_with_fences_stays_inside_its_own() -> None:
    assert fenced("SELECT '````'", "sql") == "`````sql\nSELECT '````'\n`````"


def test_markup_in_names_is_escaped() -> None:
    assert plain("a|b <i>*x*\n@you `c`") == "a&#124;b &#60;i&#62;&#42;x&#42; &#64;you &#96;c&#96;"


def _entry(name: str, action: str, padding: str, *hazards: Hazard) -> Entry:
    statement = Statement(f"{name} {padding}", hazards=hazards)
    return Entry(
        Change(address=f"schema/s/table/{name}", action=action),  # type: ignore[arg-type]
        (Step(on="s", title=name, do=(statement,), undo=()),),
    )
