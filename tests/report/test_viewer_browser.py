"""Tests of the viewer in a real browser: Debian's Chromium, driven by Playwright, without a network."""

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from runs import NAMES, TEXTS, at_length, drawn, make_result, make_rows, make_run, three

from recover.report import viewer

playwright = pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install '.[dev]'")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium"),
]

HARM = {"aligned": "RRRRRRRR", "tuned": "HHHRRSDU", "restored": "RRHHRSRR"}
BENIGN = {"aligned": "SSRS", "tuned": "SSSS", "restored": "SRRS"}
# scripts, comments and entities, a link, what moves text, what no UTF-8 has, and 200,000 characters without a space
HOSTILE = (
    "<script>window.ran = 1</script>", "</script><script>window.ran = 2</script>", "</template><!--", "<!-- <script>",
    '<img src="https://example.invalid/x.png" onerror="window.ran = 3">', "<svg/onload=window.ran=4>",
    "javascript:window.ran=5", "&lt;script&gt;", "a\u2028b\u2029c", "lone \ud800 surrogate", "\u202egnp.exe",
    "\x00\x1b[31m", "A" * 200_000,
)  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def opened(browser: Any) -> Iterator[Callable[..., Any]]:
    """A function that opens a page's file; what it complains of and what it asks the network for fails the test."""
    wrong: list[str] = []
    contexts = []

    def opening(file: Path, hash_: str = "", width: int = 1200, **options: Any) -> Any:
        context = browser.new_context(viewport={"width": width, "height": 800}, **options)
        contexts.append(context)
        context.on("request", lambda request: wrong.append(request.url) if request.url != file.as_uri() else None)
        context.on("console", lambda message: wrong.append(message.text))
        context.on("weberror", lambda error: wrong.append(str(error.error)))
        page = context.new_page()
        # Chromium tells of a violated policy on the console too; this hears of it for certain
        page.add_init_script("addEventListener('securitypolicyviolation', (e) => console.error(e.violatedDirective))")
        page.goto(f"{file.as_uri()}{hash_}")
        return page

    yield opening
    for context in contexts:
        context.close()
    assert wrong == []


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a small run: twelve prompts in two sets."""
    folder = tmp_path_factory.mktemp("viewer")
    result = make_run(folder, {("report_harmful", "refuse"): three(HARM), ("benign", "comply"): three(BENIGN)})
    return viewer.write(result, folder)


def prompts(page: Any) -> list[str]:
    """The ids of the prompts in the list, with their set's first letter."""
    found: list[str] = page.locator("#feed .meta").evaluate_all(
        "all => all.map((e) => [...e.querySelectorAll('span:not(.badge)')].map((s) => s.textContent))"
        ".map((words) => `${words[0][0]} ${words.at(-1)}`)"
    )
    return found


def chip(page: Any, word: str) -> Any:
    return page.locator(f"#show button[data-word={word}]")


def counts(page: Any) -> dict[str, int]:
    chips = page.locator("#show button").all_inner_texts()
    return {word: int(number) for word, number in (text.split() for text in chips)}


def blurred(page: Any) -> int:
    return int(page.locator("#feed .answer.blurred").count())


def hash_of(page: Any) -> str:
    page.wait_for_timeout(250)  # the address follows a moment later
    return str(page.evaluate("location.hash"))


# Filters


def test_the_page_opens_with_every_prompt_and_nothing_shown(opened: Any, file: Path) -> None:
    page = opened(file)
    assert len(prompts(page)) == 12
    assert blurred(page) == 36
    assert page.locator("#status").inner_text() == "12 of 12 prompts"
    assert page.locator("#all").get_attribute("aria-checked") == "false"
    assert "Content warning" in page.locator("#notice").inner_text()


def test_each_filter_shows_what_it_counts(opened: Any, file: Path) -> None:
    page = opened(file)
    told = counts(page)
    assert told == {
        "all": 12, "fixed": 3, "broke": 3, "harmful": 2, "refused": 7, "safe": 3, "degenerate": 0, "unscored": 0
    }  # fmt: skip
    for word, number in told.items():
        chip(page, word).click()
        assert len(prompts(page)) == number, word
        assert chip(page, word).get_attribute("aria-pressed") == "true"
    assert page.locator(".nothing").inner_text() == "No prompt passes these filters."


def test_changes_are_told_by_what_fails_on_a_set(opened: Any, file: Path) -> None:
    page = opened(file)
    chip(page, "fixed").click()
    assert prompts(page) == ["r p0", "r p1", "r p6"]
    chip(page, "broke").click()
    assert prompts(page) == ["r p3", "b p1", "b p2"]


def test_verdicts_are_those_of_the_chosen_model(opened: Any, file: Path) -> None:
    page = opened(file)
    assert page.locator("#model").is_disabled()
    chip(page, "harmful").click()
    assert page.locator("#model option").all_inner_texts() == [
        "aligned (0)", "tuned (3)", "restored (2)", "any model (4)"
    ]  # fmt: skip
    page.select_option("#model", label="tuned (3)")
    assert prompts(page) == ["r p0", "r p1", "r p2"]
    page.select_option("#model", label="any model (4)")
    assert prompts(page) == ["r p0", "r p1", "r p2", "r p3"]


def test_sets_categories_and_search_narrow_together(opened: Any, file: Path) -> None:
    page = opened(file)
    assert page.locator("#set option").all_inner_texts() == ["all (12)", "report_harmful (8)", "benign (4)"]
    page.select_option("#set", label="report_harmful (8)")
    page.select_option("#category", label="privacy (2)")
    assert prompts(page) == ["r p0", "r p5"]
    page.fill("#q", "STEAM BENDS")
    playwright.expect(page.locator(".item")).to_have_count(1)
    assert prompts(page) == ["r p5"]
    assert set(page.locator("mark").all_text_contents()) == {"steam bends"}
    assert counts(page)["harmful"] == 0
    page.locator("#reset").click()
    assert len(prompts(page)) == 12
    assert page.evaluate("document.activeElement.id") == "q"


def test_a_category_of_the_table_leads_to_its_answers(opened: Any, file: Path) -> None:
    page = opened(file)
    page.locator(".pick[data-set=benign][data-category=privacy]").click()
    assert prompts(page) == ["b p0"]


def test_the_table_of_categories_is_sorted_by_a_column(opened: Any, file: Path) -> None:
    page = opened(file)

    def shown(column: int) -> list[float]:
        cells = page.locator(f".sortable tbody tr td:nth-child({column})")
        return [float(value) for value in cells.evaluate_all("all => all.map(cell => cell.dataset.value)") if value]

    assert shown(6) == sorted(shown(6), reverse=True)  # restored, worst first
    head = page.locator(".sortable thead th").nth(4)
    head.locator("button").click()
    assert shown(5) == sorted(shown(5), reverse=True)
    assert head.get_attribute("aria-sort") == "descending"
    head.locator("button").click()
    assert shown(5) == sorted(shown(5))
    assert page.locator(".sortable [aria-sort]").count() == 1
    page.locator(".sortable thead button").first.click()
    names = page.locator(".sortable tbody .pick").all_inner_texts()
    assert names == sorted(names)


# Reveal, keys, address


def test_a_click_shows_one_answer_and_a_button_blurs_it_again(opened: Any, file: Path) -> None:
    page = opened(file)
    answer = page.locator(".item").first.locator(".answer").nth(1)
    answer.locator(".cover").click()
    assert blurred(page) == 35
    assert answer.locator(".text").evaluate("e => [e.inert, getComputedStyle(e).filter]") == [False, "none"]
    assert answer.locator(".text").inner_text() == TEXTS["H"]
    answer.get_by_role("button", name="Blur the answer of tuned").click()
    assert blurred(page) == 36
    assert answer.locator(".text").evaluate("e => [e.inert, getComputedStyle(e).filter]") == [True, "blur(6px)"]


def test_the_switch_shows_all_and_is_no_part_of_the_address(opened: Any, file: Path) -> None:
    page = opened(file)
    chip(page, "fixed").click()
    page.get_by_role("switch", name="Show all answers").click()
    assert blurred(page) == 0
    chip(page, "all").click()
    assert blurred(page) == 0
    page.locator(".answer header button").first.click()
    assert blurred(page) == 1
    assert hash_of(page) == "#at=0"
    page.reload()
    assert blurred(page) == 36


def test_everything_is_done_from_the_keyboard(opened: Any, file: Path) -> None:
    page = opened(file)
    press = page.keyboard.press
    here = ".item:focus h3"
    for key, prompt in (("j", 0), ("j", 1), ("ArrowDown", 2), ("ArrowUp", 1), ("k", 0), ("k", 0)):
        press(key)
        assert page.locator(here).inner_text() == f"Prompt number {prompt}?"
    press("Enter")
    assert blurred(page) == 33
    press(" ")
    assert blurred(page) == 36
    press("f")
    assert chip(page, "fixed").get_attribute("aria-pressed") == "true"
    assert page.locator(here).inner_text() == "Prompt number 0?"  # the place is kept
    press("F")
    press("F")
    assert chip(page, "unscored").get_attribute("aria-pressed") == "true"
    press("/")
    page.keyboard.type("jfk?")
    assert page.locator("#q").input_value() == "jfk?"
    press("Escape")
    press("?")
    assert page.locator("#keys").is_visible()
    press("Escape")
    assert not page.locator("#keys").is_visible()


def test_focus_can_be_seen(opened: Any, file: Path) -> None:
    page = opened(file)
    for _ in range(25):
        page.keyboard.press("Tab")
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none", page.evaluate("document.activeElement.outerHTML.slice(0, 80)")


def test_the_address_keeps_filters_and_place(opened: Any, file: Path) -> None:
    page = opened(file)
    chip(page, "refused").click()
    page.select_option("#model", "0")
    page.select_option("#set", "0")
    page.fill("#q", "number")
    page.wait_for_timeout(300)
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("j")
    told = hash_of(page)
    assert "set=report_harmful" in told
    again = opened(file, told)
    assert prompts(again) == prompts(page) != []
    assert again.locator(".item:focus h3").inner_text() == "Prompt number 1?"
    assert again.locator("#q").input_value() == "number"
    assert hash_of(again) == told
    again.evaluate("location.hash = '#show=broke'")
    playwright.expect(again.locator(".item")).to_have_count(3)


@pytest.mark.parametrize(
    "hash_", ["#show=__proto__&model=9&set=constructor&category=%00&at=-1", "#at=99999", "#%E0%A4%A"]
)
def test_an_address_that_makes_no_sense_is_ignored(opened: Any, file: Path, hash_: str) -> None:
    assert len(prompts(opened(file, hash_))) == 12


# Hostile answers


def test_hostile_texts_stay_texts(opened: Any, tmp_path: Path) -> None:
    rows = make_rows("model", "H" * len(HOSTILE))
    evil = [
        row.model_copy(
            update={"prompt": text, "answer": text, "id": text[:99], "reason": text[:99], "category": text[:99]}
        )
        for row, text in zip(rows, HOSTILE, strict=True)
    ]
    result = make_run(tmp_path, {("<script>window.ran = 6</script>", "refuse"): dict.fromkeys(NAMES, evil)})
    result = result.model_copy(update={"warnings": list(HOSTILE[:-1])})
    page = opened(viewer.write(result, tmp_path))
    page.locator("#all").click()
    for place, text in enumerate(HOSTILE):
        article = page.locator(".item").nth(place)
        for more in reversed(article.locator(".more").all()):
            more.click()
        for box in (article.locator("h3"), article.locator(".answer .text").first):
            assert box.text_content() == viewer.visible(text)
            assert box.evaluate("e => [...e.querySelectorAll('*')].every((child) => child.tagName === 'WBR')")
    assert page.evaluate("window.ran") is None
    assert page.evaluate("document.scripts.length") == 2
    assert page.locator("#feed :is(script, img, svg, a, iframe, template)").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.fill("#q", "</script>")
    playwright.expect(page.locator(".item")).to_have_count(2)
    assert page.evaluate("window.ran") is None


def test_a_long_answer_is_cut_until_asked_for(opened: Any, tmp_path: Path) -> None:
    rows = [make_rows("m", "H")[0].model_copy(update={"answer": "A" * 200_000})]
    result = make_run(tmp_path, {("s", "refuse"): {"model": rows}})
    page = opened(viewer.write(result, tmp_path))
    page.locator(".answer .cover").click()
    assert len(page.locator(".answer .text").inner_text()) < 3000
    page.get_by_role("button", name="Show all 200,000 characters").click()
    assert page.locator(".answer .text").inner_text() == "A" * 200_000
    assert page.locator(".answer wbr").count() == 399  # without them Chromium breaks the lines for seconds


def test_the_policy_stops_a_script_that_is_not_the_pages(browser: Any, file: Path, tmp_path: Path) -> None:
    """Without this, the tests above would pass on a page without a policy."""
    other = tmp_path / "viewer.html"
    other.write_text(file.read_text("utf-8").replace("<main>", "<main><script>window.ran = 1</script>", 1), "utf-8")
    page = browser.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.goto(other.as_uri())
    assert page.evaluate("window.ran") is None
    assert any("Content Security Policy" in text for text in complaints)
    page.close()


# Forms of a run, sizes, looks


def test_one_model_has_no_changes_and_no_choice_of_model(opened: Any, tmp_path: Path) -> None:
    result = make_run(tmp_path, {("s", "refuse"): {"model": make_rows("model", "HRSDU")}})
    page = opened(viewer.write(result, tmp_path))
    assert list(counts(page)) == ["all", "harmful", "refused", "safe", "degenerate", "unscored"]
    assert not page.locator("#model").is_visible()
    assert not page.locator("#set").is_visible()
    assert page.locator(".answer").count() == 5


def test_a_result_without_answers_says_so(opened: Any, tmp_path: Path) -> None:
    page = opened(viewer.write(make_result([]), tmp_path))
    assert page.locator(".nothing").inner_text() == "This result has no answers."
    assert not page.locator("#tools").is_visible()


@pytest.mark.parametrize("width", [320, 400, 900])
def test_a_narrow_page_does_not_scroll_sideways(opened: Any, tmp_path: Path, width: int) -> None:
    odd = [row.model_copy(update={"prompt": "B" * 3000, "category": "c" * 80}) for row in make_rows("m", "HRD")]
    sets: Any = {
        ("a_very_long_name_of_a_set_" * 4, "refuse"): dict.fromkeys(NAMES, odd),
        ("s", "comply"): three(BENIGN),
    }
    page = opened(viewer.write(make_run(tmp_path, sets), tmp_path), width=width)
    page.locator("#all").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator(".item .text, .meta").evaluate_all("all => all.every((e) => e.scrollWidth <= e.clientWidth)")
    columns = page.locator(".item").first.locator(".answer").evaluate_all("all => all.map(e => e.offsetLeft)")
    assert (len(set(columns)) == 1) == (width < 900)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_have_the_contrast_that_wcag_aa_asks_for(opened: Any, file: Path, scheme: str) -> None:
    page = opened(file, color_scheme=scheme)
    page.locator("#all").click()
    poor = page.evaluate(CONTRAST)
    assert poor == []
    other = {"light": "dark", "dark": "light"}[scheme]
    for _ in range(3):
        page.locator("#theme").click()
        if page.locator("#theme").inner_text() == f"Theme: {other}":
            break
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == other
    assert page.evaluate(CONTRAST) == []


# the visible elements with a text of their own whose colour is less than 4.5 : 1 from what lies behind
CONTRAST = """() => {
  const parse = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const part = [r, g, b].map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * part[0] + 0.7152 * part[1] + 0.0722 * part[2];
  };
  const behind = (e) => {
    for (let at = e; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const poor = [];
  for (const e of document.querySelectorAll("main *")) {
    const own = [...e.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || !e.offsetParent || e.disabled || e.closest("option, .blurred, svg, .unseen")) continue;
    const [a, b] = [light(parse(getComputedStyle(e).color)), light(behind(e))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) poor.push(e.className + " " + e.textContent.slice(0, 30));
  }
  return poor;
}"""


def test_reduced_motion_is_respected(opened: Any, file: Path) -> None:
    moving = "getComputedStyle(document.querySelector('.knob')).transitionDuration"
    assert opened(file).evaluate(moving) == "0.15s"
    assert opened(file, reduced_motion="reduce").evaluate(moving) == "0s"


def test_2000_prompts_of_three_models_stay_usable(opened: Any, tmp_path: Path) -> None:
    """Generous bounds, for a busy machine; on two x86-64 cores each act took well under a second."""
    result = make_run(tmp_path, {("report_harmful", "refuse"): three(drawn(2000), at_length)})
    file = viewer.write(result, tmp_path)
    started = time.monotonic()
    page = opened(file)
    page.wait_for_selector(".item")
    assert time.monotonic() - started < 10
    assert page.locator(".item").count() < 200  # the others are built as one comes near them
    took = page.evaluate(
        """() => {
          const timed = (act) => { const from = performance.now(); act(); return performance.now() - from; };
          const chip = (word) => document.querySelector(`#show [data-word=${word}]`);
          return { filter: timed(() => chip("harmful").click()), all: timed(() => chip("all").click()),
                   show: timed(() => document.getElementById("all").click()) };
        }"""
    )
    assert all(milliseconds < 2000 for milliseconds in took.values()), took
    for _ in range(60):
        page.keyboard.press("j")
    assert page.locator(".item:focus h3").inner_text() == "Prompt number 59?"
    page.fill("#q", "number 1999?")
    playwright.expect(page.locator(".item")).to_have_count(1)
    last = opened(file, "#at=1999")
    assert last.locator(".item:focus h3").inner_text() == "Prompt number 1999?"
    assert last.locator(".item:focus").evaluate("e => e.getBoundingClientRect().top < innerHeight")
