"""On paper, where nobody can open a fold, a report shows all that a screen can show."""

from __future__ import annotations

import shutil

import pytest

from skillpm.evals.report import OPEN_FAILURES, ReportData, render_report
from tests.scripted_policy import MakeArm, Server

pytestmark = pytest.mark.slow
sync_api = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium")


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_folded_failures_are_open_on_paper(server: Server, make_arm: MakeArm) -> None:
    server.write(range(1, OPEN_FAILURES + 2))
    text = render_report(ReportData("server", server.assembled(make_arm("sft", []))))
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.set_content(text)
        count = "[...document.querySelectorAll('.failure code')].filter(item => item.checkVisibility()).length"
        assert page.evaluate(count) == 0
        page.emulate_media(media="print")
        assert page.evaluate(count) == 2 * (OPEN_FAILURES + 1)
        browser.close()
