"""What stands in a suite, whatever letters it is written with, is not trained on."""

from __future__ import annotations

import unicodedata

import pytest

from skillpm.errors import CheckError
from skillpm.model.suite import Suite
from skillpm.model.task import Seed
from skillpm.synth.contamination import _LATIN, SuiteIndex, skeleton
from skillpm.synth.dedupe import normal_form

LONG = "restart the queue worker of the staging cluster and then show its café log"


def index(*requests: str) -> SuiteIndex:
    tasks = tuple(Seed(request=request, expected={}) for request in requests)
    return SuiteIndex([("demo", Suite(name="core", tasks=tasks))])


ALIKE = [
    ("copy the report", "сору the rероrt"),
    ("COPY THE REPORT", "СОРУ ТНЕ RЕРОRТ"),
    ("Show A, B, E, H, K, T, X", "Show Α, Β, Ε, Η, Κ, Τ, Χ"),
    ("open the café", "open the caf\u0435\u0301"),  # a Cyrillic letter and a mark
    ("把报告复制到备份", "把报告 复制到 备份。"),
    ("copy it now", "copy it \u2014 now \u2026 \U0001f64f\u200d\u2642\ufe0f"),
]


@pytest.mark.parametrize(("measured", "trained"), [*ALIKE, *((b, a) for a, b in ALIKE)])
def test_letters_that_look_alike_are_alike_beside_a_suite(measured: str, trained: str) -> None:
    suites, form = index(measured), normal_form(trained)
    assert form in suites and not suites.are_apart([form])
    with pytest.raises(CheckError, match="a suite overlaps training"):
        suites.refuse("demo", [Seed(request=trained, expected={})])


def test_a_run_of_words_in_letters_that_look_alike_is_shared() -> None:
    hidden = normal_form(f"please {LONG}, quickly".replace("o", "\u043e").replace("e", "\u0435"))
    assert index(LONG).shared_run(hidden) and not index(LONG).are_apart([hidden])


@pytest.mark.parametrize(
    ("measured", "trained"),
    [
        ("把报告复制到备份文件夹然后删除旧的版本", "请马上把报告复制到备份文件夹然后删除旧的版本,谢谢"),
        ("คัดลอกรายงานไปยังโฟลเดอร์สำรอง", "ช่วยคัดลอกรายงานไปยังโฟลเดอร์สำรองหน่อย"),
        ("レポートをバックアップに移して", "すぐにレポートをバックアップに移してください"),
        ("انسخ التقرير إلى مجلد النسخ ثم احذف القديم", "من فضلك انسخ التقرير إلى مجلد النسخ ثم احذف القديم"),
    ],
)
def test_a_run_is_shared_in_every_script_with_spaces_or_without(measured: str, trained: str) -> None:
    form = normal_form(trained)
    assert index(measured).shared_run(form) and not index(measured).are_apart([form])


@pytest.mark.parametrize(
    ("measured", "trained"),
    [
        ("请帮我把这个文件夹移到桌面", "请帮我把这个文件夹删掉"),
        ("把 a.txt 复制到 b.txt", "把 c.txt 复制到 d.txt"),
        ("wait 5 ms", "wait 5 \u00b5s"),
        ("покажи журнал", "покажи журналы"),
        ("copy the report", "copy the reports"),
        ("cd -", "cd"),
        ("restore .", "restore"),
        ("\U0001f64f", "\U0001f44d"),
    ],
)
def test_other_requests_stay_apart(measured: str, trained: str) -> None:
    form = normal_form(trained)
    assert form not in index(measured) and index(measured).are_apart([form])


def test_case_does_not_count_in_any_alphabet_and_each_letter_that_is_replaced_is_one_of_two_alphabets() -> None:
    for word in ("Вера", "Ναι", "Σήμερα", "Ньютон"):
        assert skeleton(normal_form(word)) == skeleton(normal_form(word.upper())) == skeleton(normal_form(word.lower()))
    for letter, latin in _LATIN.items():
        assert unicodedata.name(chr(letter)).startswith(("CYRILLIC SMALL", "GREEK SMALL", "GREEK LETTER YOT"))
        assert chr(latin).isascii() and normal_form(chr(letter)) == chr(letter)
