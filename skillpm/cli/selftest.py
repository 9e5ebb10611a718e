"""``skillpm selftest``: does a skill's verifier keep its promises?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from skillpm.cli.consent import grant_consents, worker_options, yes_option
from skillpm.cli.output import echo_json, json_option, note, table

if TYPE_CHECKING:
    from skillpm.ops.selftest import Selftest

__all__ = ["command"]


@click.command("selftest")
@click.argument("skills", metavar="[SKILL]...", nargs=-1)
@yes_option
@worker_options
@json_option
@click.pass_context
def command(
    ctx: click.Context, skills: tuple[str, ...], yes: bool, workers: int | None, sandbox: str | None, as_json: bool
) -> None:
    """Check the verifiers of SKILLs (all installed ones where none is named).

    The claims of cases.jsonl; and for every seed and suite task: the gold answer passes with 1, an answer that does
    nothing does not, a gold answer with one mistake does not, and the same answer gets the same verdict again.

    Exits 1 where a claim does not hold, 9 where the verifier cannot be run.
    """
    from skillpm.ops.context import open_context
    from skillpm.ops.ready import judging
    from skillpm.ops.selftest import selftest
    from skillpm.settings import load_settings

    context = open_context(load_settings(workers=workers, sandbox=sandbox))
    found = context.skills(skills)
    for notice in context.notices:
        note(notice)
    grant_consents(context, found, yes)
    with judging(context, found) as ready:
        reports = [selftest(ready.contributions[skill.name], ready.scorer) for skill in found]
    ok = all(report.ok for report in reports)
    if as_json:
        echo_json({"ok": ok, "skills": [report.document() for report in reports]})
    else:
        _print(reports)
    ctx.exit(0 if ok else 1)


def _print(reports: list[Selftest]) -> None:
    rows = [
        (report.skill.name, kind, count, report.failed.get(kind, 0))
        for report in reports
        for kind, count in report.checked.items()
    ]
    if rows:
        table(("skill", "claim", "checked", "failed"), rows)
    for report in reports:
        if not report.checked:
            note(f"{report.skill.name}: nothing to check: it has neither a contract nor a verifier")
    broken = [(report.skill.name, item.kind, item.name, item.seen) for report in reports for item in report.broken]
    if broken:
        click.echo()
        table(("skill", "broken claim", "case or task", "seen"), broken)
