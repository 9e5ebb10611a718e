"""Reports as SARIF 2.1.0, the form that code-scanning services and editors read.

Source: OASIS, Static Analysis Results Interchange Format (SARIF) Version 2.1.0.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from skillpm import __version__
from skillpm.cli.output import safe

if TYPE_CHECKING:
    from skillpm.model.finding import Finding, Report, RuleText

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def sarif(reports: Sequence[Report], rules: Sequence[RuleText]) -> dict[str, Any]:
    """Return a log of one run: the rules with findings, and each finding as a result.

    URIs are relative to the working directory if the skill is below it, else to the parent of the skill's folder.
    """
    codes = {finding.code for report in reports for finding in report.findings}
    listed = [rule for rule in rules if rule.code in codes]
    index = {rule.code: position for position, rule in enumerate(listed)}
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {"name": "skillpm", "version": __version__, "rules": [_rule(rule) for rule in listed]}
                },
                "columnKind": "unicodeCodePoints",
                "invocations": [{"executionSuccessful": True}],
                "results": [_result(report, finding, index) for report in reports for finding in report.findings],
            }
        ],
    }


def _rule(rule: RuleText) -> dict[str, Any]:
    return {
        "id": rule.code,
        "name": "".join(word.capitalize() for word in "".join(c if c.isalnum() else " " for c in rule.title).split()),
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.why},
        "help": {"text": f"{rule.what}\n\n{rule.why}"},
        "defaultConfiguration": {"level": str(rule.lenient)},
    }


def _result(report: Report, finding: Finding, index: dict[str, int]) -> dict[str, Any]:
    uri = _uri(report, finding)
    region = {"startLine": finding.line, "startColumn": finding.column}
    place: dict[str, Any] = {"artifactLocation": {"uri": uri}}
    if finding.line:
        place["region"] = {key: value for key, value in region.items() if value}
    text = safe(finding.message) + (f" ({safe(finding.hint)})" if finding.hint else "")
    print_of = hashlib.sha256(f"{finding.code}\0{uri}\0{finding.message}".encode("utf-8", "surrogatepass")).hexdigest()
    result = {
        "ruleId": finding.code,
        "level": str(finding.severity),
        "message": {"text": text},
        "locations": [{"physicalLocation": place}],
        "partialFingerprints": {"skillpm/v1": print_of},
    }
    return {**result, "ruleIndex": index[finding.code]} if finding.code in index else result


def _uri(report: Report, finding: Finding) -> str:
    root = Path(report.path)
    if root.is_absolute() or ".." in root.parts:
        near = os.path.relpath(root)
        root = Path(near) if not near.startswith("..") else Path(root.resolve().name)
    return quote(os.fsencode(root.joinpath(*finding.path.split("/")).as_posix()))
