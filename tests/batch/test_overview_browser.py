"""The overview of a batch in a real browser, without a network: its columns sort, and it complains of nothing."""

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from overview_pages import HOSTILE, entry, make_batch

from recover.batch import overview
from recover.batch.overview import JobEntry

playwright = pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install '.[dev]'")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The open overview of a batch; what it says on the console or asks the network for fails the tests."""
    folder = tmp_path_factory.mktemp("batch")
    jobs = [
        entry(folder, "b", (0.01, 0.9, 0.2)).model_copy(update={"seconds": 100.0}),
        entry(folder, "a", (0.01, 0.1, 0.05), code=1),
        entry(folder, "c", (0.01, 1.0, None)),
        JobEntry(name="broken", key="0", status="failed", exit_code=3, reason=HOSTILE),
    ]
    overview.write(make_batch(jobs), folder)
    wrong: list[str] = []
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        opened = chromium.new_page(viewport={"width": 1200, "height": 800})
        opened.on("console", lambda message: wrong.append(message.text))
        opened.on("pageerror", lambda error: wrong.append(str(error)))
        file = (folder / "batch.html").as_uri()
        opened.on("request", lambda request: wrong.append(request.url) if request.url != file else None)
        opened.goto(file)
        yield opened
        chromium.close()
    assert wrong == []


def order(page: Any) -> list[str]:
    found: list[str] = page.eval_on_selector_all("tbody tr", "rows => rows.map(r => r.cells[0].dataset.key)")
    return found


def test_the_worst_stands_first_and_a_click_sorts_by_number(page: Any) -> None:
    assert order(page) == ["broken", "a", "b", "c"]
    head = page.get_by_role("button", name="harmful tuned")
    head.click()
    assert order(page) == ["a", "b", "c", "broken"], "as numbers, and what is unknown last"
    head.click()
    assert order(page) == ["c", "b", "a", "broken"], "turned round, and what is unknown still last"


def test_numbers_are_not_sorted_as_texts(page: Any) -> None:
    page.get_by_role("button", name="time").click()
    assert order(page)[2:] == ["b", "broken"], "100 s after 61 s"


def test_a_click_sorts_by_name_and_the_head_tells_so(page: Any) -> None:
    head = page.get_by_role("button", name="fine-tune")
    head.focus()
    page.keyboard.press("Enter")
    assert order(page) == ["a", "b", "broken", "c"]
    assert page.locator("th[aria-sort]").inner_text() == "fine-tune"


def test_nothing_of_a_name_or_reason_ran(page: Any) -> None:
    assert page.evaluate("window.ran") is None
    assert page.locator("small").first.is_visible()
