"""The pages in a real browser: on a telephone and on a desk, in light and in dark, by keyboard, without JavaScript."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest

from tests.registry.conftest import listening
from tests.registry.test_pages import FIGURES, measured_adapter, skill
from tests.shop import publish

pytestmark = pytest.mark.slow
sync_api = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium")
WIDTHS = (390, 1280)
PATHS = ["/", "/search", "/skill/demo", "/skill/review", "/diff/review", "/compare?a=review&b=demo", "/events"]

FAULTS = """() => {
  const faults = [];
  const part = value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * part(r / 255) + 0.7152 * part(g / 255) + 0.0722 * part(b / 255);
  const parts = text => (text.match(/[\\d.]+/g) || [0, 0, 0, 0]).map(Number);
  const behind = element => {
    for (let at = element; at; at = at.parentElement) {
      const colour = parts(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const text = walker.currentNode.textContent.trim();
    const closest = "svg, .hidden, .skip, script, option";
    if (!text || element.closest(closest)) continue;
    if (!element.checkVisibility()) continue;
    const both = [light(parts(getComputedStyle(element).color)), light(behind(element))];
    const contrast = (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05);
    if (contrast < 4.5) faults.push(`contrast ${contrast.toFixed(2)}: ${text.slice(0, 40)}`);
  }
  for (const control of document.querySelectorAll("a, button, input:not([type=hidden]), select, summary")) {
    const label = control.labels && control.labels[0] ? control.labels[0].textContent : "";
    const alt = [...control.querySelectorAll("img")].map(image => image.alt).join("");
    const name = control.getAttribute("aria-label") || label || control.textContent || alt;
    if (!name.trim()) faults.push(`no name: ${control.outerHTML.slice(0, 80)}`);
  }
  const wide = document.documentElement.scrollWidth;
  if (wide > innerWidth) faults.push(`wider than the screen: ${wide}`);
  return faults;
}"""
"""Returns what is wrong with a page: text below the contrast of WCAG 2.2 AA, nameless controls, sideways scrolling."""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    demo = {
        "SKILL.md": f"---\nname: demo\ndescription: {'long' * 200}\n---\n# Demo\n\nSome `code`, a [link](README.md).\n",
        "skill.yaml": "manifest: 1\nversion: '1.0'\nkeywords: [logs]\n",
        "README.md": "| a | b |\n|---|---|\n| a long cell of a table | " + "word " * 40 + "|\n",
    }
    root = tmp_path_factory.mktemp("browser") / "shop"
    publish(root, demo, skill("1.0"), skill("2.0"), measured_adapter(demo, *FIGURES))
    with listening(root) as url:
        yield url


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("needs Chromium")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.mark.parametrize(("width", "scheme"), list(product(WIDTHS, ("light", "dark"))))
def test_every_page_can_be_read_on_every_screen(browser: Any, address: str, width: int, scheme: str) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    refused: list[str] = []
    page.on("response", lambda answer: refused.append(answer.url) if answer.status >= 400 else None)
    page.on("pageerror", lambda error: refused.append(str(error)))
    found = {path: faults for path in PATHS if page.goto(address + path).ok and (faults := page.evaluate(FAULTS))}
    page.close()
    assert not found, json.dumps(found, indent=1)
    assert {url.rpartition("/")[2] for url in refused} <= {"favicon.ico"}


def test_a_keyboard_is_enough(browser: Any, address: str) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(f"{address}/events")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('href')") == "#main"  # past the head of the page
    while page.evaluate("document.activeElement.type") != "search":
        page.keyboard.press("Tab")
    page.keyboard.type("demo")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search?q=demo*")
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.getAttribute('href')") == "/skill/demo":
            break
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    page.keyboard.press("Enter")
    page.wait_for_url("**/skill/demo")
    page.close()
    assert outline == "solid"  # one sees where one is


def test_nothing_is_missing_without_javascript(browser: Any, address: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{address}/skill/demo")
    assert page.locator("h2", has_text="Measured lift").is_visible()
    assert page.locator("svg.weeks").is_visible()
    assert page.locator("button.copy:visible").count() == 0  # it would do nothing
    context.close()
