"""``skillpm selftest``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from skillpm.cli.consent import agreed_skills, worker_options, yes_option
from skillpm.cli.findings import echo_finding, format_options, print_rules
from skillpm.cli.output import echo_json, note, table
from skillpm.formats.as_json import as_json

if TYPE_CHECKING:
    from skillpm.ops.learning.selftest import Selftest


@click.command("selftest")
@click.argument("skills", metavar="[SKILL]...", nargs=-1)
@click.option("--rules", "show_rules", is_flag=True, help="List the claims instead of checking them.")
@yes_option
@worker_options
@format_options
@click.pass_context
def command(
    ctx: click.Context, /, skills: tuple[str, ...], show_rules: bool, form: str | None, **agreement: Any
) -> None:
    """Check the verifiers of SKILLs, by default of all installed skills.

    Checks the claims of cases.jsonl. For every seed and suite task it checks that the right answer passes with score 1,
    that an answer that does nothing, cannot be run, has one mistake or belongs to another task scores at most the limit
    in `verifier:` of skill.yaml, that fuzzed answers get a verdict, and that the same answer gets the same verdict in
    every batch and worker, in time.

    Reports each failed claim with its smallest counterexample. Exits 1 if a claim fails, 9 if the verifier cannot run.
    """
    from skillpm.ops.learning.selftest import selftests
    from skillpm.selftest.claims import CLAIMS

    if show_rules:
        print_rules(list(CLAIMS.values()), form)
        return
    reports = selftests(*agreed_skills(skills, **agreement))
    ok = all(report.ok for report in reports)
    if form == "sarif":
        from skillpm.cli.sarif import sarif

        echo_json(sarif([report.report() for report in reports], list(CLAIMS.values())))
    elif form == "json":
        echo_json({"ok": ok, "skills": reports})
    else:
        _print(reports)
    ctx.exit(0 if ok else 1)


def _print(reports: list[Selftest]) -> None:
    rows = [
        (report.skill.name, claim["code"], claim["title"], claim["checked"], claim["failed"])
        for report in reports
        for claim in report.document()["claims"]
        if claim["checked"]
    ]
    if rows:
        table(("skill", "claim", "what would be wrong", "checked", "failed"), rows)
    for report in reports:
        if not report.verifier:
            note(f"{report.skill.name}: nothing to check, because it has neither a contract nor a verifier")
        elif not any(report.checked.values()):
            note(f"{report.skill.name}: nothing to check with; write cases.jsonl, seeds or suites")
        elif report.unchecked:
            note(f"{report.skill.name}: no answer got a verdict, so not checked: {', '.join(report.unchecked)}")
    if any(report.broken for report in reports):
        click.echo()
    for report in reports:
        for finding in report.report().findings:
            echo_finding(report.skill.name, as_json(finding))
