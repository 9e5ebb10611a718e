"""``skillpm selftest``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from skillpm.cli.common_options import exit_with, is_set
from skillpm.cli.complete import known_names
from skillpm.cli.consent import agreed_skills, code_options
from skillpm.cli.findings import echo_finding, format_options, print_form, print_rules
from skillpm.cli.output import count, note, safe, table, terminal_bar
from skillpm.cli.process import if_interrupted
from skillpm.formats.as_json import as_json

if TYPE_CHECKING:
    from skillpm.ops.learning.selftest import Selftest


@click.command("selftest", epilog="Example: skillpm selftest incident-triage")
@click.argument("skills", shell_complete=known_names, metavar="[SKILL]...", nargs=-1)
@click.option("--rules", "show_rules", is_flag=True, help="List the claims instead of checking them.")
@code_options
@format_options
@if_interrupted("nothing was decided, the same command begins again")
def command(skills: tuple[str, ...], show_rules: bool) -> None:
    """Check the verifiers of SKILLs, by default of all installed skills.

    Checks the claims of cases.jsonl. For seeds, suite tasks and rows of synthesis.yaml it checks that the right answer
    passes with score 1, that a wrong one scores at most the limit in `verifier:` of skill.yaml and that no reward pays
    for it, that fuzzed answers get a verdict, and that the same answer gets the same verdict each time.

    Reports each failed claim with its smallest counterexample, and with `--verbose` every claim. Exits 1 if a claim
    fails, 9 if the verifier cannot run.
    """
    from skillpm.ops.learning.selftest import selftests
    from skillpm.selftest.claims import CLAIMS

    if show_rules:
        print_rules(list(CLAIMS.values()))
        return
    reports = selftests(*agreed_skills(skills), progress=terminal_bar())
    ok = all(report.ok for report in reports)
    findings = [report.report() for report in reports]
    if not print_form({"ok": ok, "skills": reports}, findings, list(CLAIMS.values())):
        _print(reports, verbose=is_set("verbose"))
    exit_with(0 if ok else 1)


def _print(reports: list[Selftest], *, verbose: bool) -> None:
    rows = [
        (report.skill.name, claim["code"], claim["title"], claim["checked"], claim["failed"])
        for report in reports
        for claim in report.document()["claims"]
        if claim["failed"] or (verbose and claim["checked"])
    ]
    if rows:
        table(("skill", "claim", "what would be wrong", "checked", "failed"), rows)
    for report in reports:
        for finding in report.report().findings:
            echo_finding(report.skill.name, as_json(finding))
    for report in reports:
        _print_summary(report)


def _print_summary(report: Selftest) -> None:
    name = report.skill.name
    if not report.verifier:
        note(f"{name}: nothing to check, because it has neither a contract nor a verifier")
        return
    if not report.claims:
        note(f"{name}: nothing to check with; write cases.jsonl, seeds or suites")
    else:
        failed = f"{sum(report.failed.values()):,} of {count(report.claims, 'claim')} failed"
        claims = f"{count(report.claims, 'claim')} hold" if report.ok else failed
        tasks = count(sum(report.tasks.values()), "task")
        click.echo(safe(f"{name}: {claims} ({tasks}, {report.seconds:.1f} s)"))
    if report.unchecked:
        note(f"{name}: no answer got a verdict, so not checked: {', '.join(report.unchecked)}")
    for reason in report.unproven:
        note(f"warning: {name}: {reason}")
