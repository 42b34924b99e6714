"""The page in a real browser, by mouse and keyboard."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from chromium import Page, chromium, opened
from made_run import made_table

from tau2_enhanced.analysis.log_lines import Lines, read_events
from tau2_enhanced.analysis.number_texts import count_text, number_text, share_text, usd_text
from tau2_enhanced.analysis.report import write_reports
from tau2_enhanced.analysis.simulations import simulations
from tau2_enhanced.analysis.summary import summarise
from tau2_enhanced.analysis.table import Choice, EventTable, to_table
from tau2_enhanced.logging.events import ExecutionEvent, LLMCallEvent, TaskCompleteEvent, TaskStartEvent

pytestmark = pytest.mark.skipif(chromium() is None, reason="no chromium on PATH, and CHROME names none")

SHOWN = "[...document.querySelectorAll('#simulations tbody tr[data-simulation]')]"
HOSTILE = "</script><img src=x onerror=\"document.title='taken'\">"
Show = Callable[..., Page]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with opened(tmp_path_factory.mktemp("chromium")) as page:
        yield page


@pytest.fixture
def show(browser: Page, tmp_path: Path) -> Iterator[Show]:
    """Opens the report of a table. At the end nothing may have been complained of, nor anything but the file read."""
    browser.complaints.clear()
    browser.requests.clear()

    def page_of(table: EventTable, **how: Any) -> Page:
        found = simulations(table)
        browser.open(write_reports(table, found, summarise(table, {}, found), tmp_path)[0], **how)
        return browser

    yield page_of
    assert browser.complaints == []
    assert set(browser.requests) == {(tmp_path / "report.html").as_uri()}


@pytest.fixture(scope="module")
def thirty() -> EventTable:
    return made_table(30, workers=4)


def column(page: Page, place: int) -> list[str]:
    return page.run(f"{SHOWN}.map(row => row.cells[{place}].textContent)")  # type: ignore[no-any-return]  # texts


def seen_part(page: Page) -> tuple[float, float]:
    """From and to of what the timeline shows, in µs since the run's start."""
    return tuple(page.run("[report.view.from, report.view.to]"))


def middle_of(page: Page, selector: str) -> tuple[float, float]:
    box = page.box(selector)
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_everything_is_there(show: Show, thirty: EventTable) -> None:
    page = show(thirty)
    assert page.text("h1") == "20260314-092600-made"
    assert "30 simulations" in page.text("#count")
    titles = page.run("[...document.querySelectorAll('h2')].map(title => title.textContent)")
    for title in ("Where the time went", "Cost by role", "Timeline", "Simulations", "Durations in ms", "Slowest calls"):
        assert title in titles
    for canvas in ("#gantt", "#overview"):
        assert colours_of(page, canvas) > 4


def colours_of(page: Page, canvas: str) -> int:
    return page.run(  # type: ignore[no-any-return]  # a number
        f"(() => {{ const c = document.querySelector('{canvas}');"
        " const seen = new Uint32Array(c.getContext('2d').getImageData(0, 0, c.width, c.height).data.buffer);"
        " return new Set(seen).size; })()"
    )


def test_the_strip_shows_model_calls_where_simulations_are_unknown(show: Show, thirty: EventTable) -> None:
    page = show(thirty.chosen(Choice(type=["llm_call"])))
    assert page.run("['simulations', 'model_calls'].map(name => name in DATA.concurrency)") == [False, True]
    assert colours_of(page, "#overview") > 1


def test_numbers_are_rounded_as_in_the_terminal(show: Show, thirty: EventTable) -> None:
    # exact halves, and numbers that look like halves
    values = [0.0, 0.0625, 0.125, 0.5615, 1.125, 1.135, 2.675, 10.265, 12.25, 12.35, 582.5, 583.5, -1.125, 1.5e6]
    shares = [place / 16 for place in range(17)]
    page = show(thirty)
    for name, text in (("number", number_text), ("count", count_text), ("usd", usd_text)):
        assert page.run(f"{values}.map({name}Text)") == [text(value) for value in values]
    assert page.run(f"{shares}.map(shareText)") == [share_text(share) for share in shares]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [900, 1440, 2400])
def test_the_page_fits_its_window(show: Show, thirty: EventTable, scheme: str, width: int) -> None:
    page = show(thirty, width=width, scheme=scheme)
    page.click_on("#simulations tbody tr:nth-child(3)")
    assert page.run("document.documentElement.scrollWidth <= innerWidth")
    lightness = page.run("getComputedStyle(document.documentElement).backgroundColor.match(/\\d+/g).map(Number)[0]")
    assert (lightness < 60) == (scheme == "dark")


def test_a_click_or_a_key_on_a_heading_sorts(show: Show, thirty: EventTable) -> None:
    page = show(thirty)
    seconds = next(n for n in range(20) if page.text(f"#simulations th:nth-child({n + 1})") == "s")
    heading = f"#simulations th:nth-child({seconds + 1})"
    before = [float(text) for text in column(page, seconds)]
    page.click_on(f"{heading} button")
    falling = [float(text) for text in column(page, seconds)]
    assert falling == sorted(falling, reverse=True) != before
    assert page.run(f"document.querySelector('{heading}').ariaSort") == "descending"
    page.run(f"document.querySelector('{heading} button').focus()")
    page.press("Enter")
    rising = [float(text) for text in column(page, seconds)]
    assert rising == sorted(rising)
    assert page.run(f"document.querySelector('{heading}').ariaSort") == "ascending"
    names = "[...document.querySelectorAll('#durations tbody tr')].map(row => row.cells[1].textContent)"
    page.click_on("#durations th:nth-child(2) button")
    assert page.run(names) == sorted(page.run(names), key=str.lower)


def test_filters_leave_what_matches(show: Show, thirty: EventTable) -> None:
    page = show(thirty)
    verdicts = simulations(thirty)["verdict"].to_list()
    choose = "document.querySelector('#filters [name=outcome]').focus()"
    page.run(choose)
    page.press("f")  # as a reader's keyboard does: the option that begins so
    assert page.text("#count") == f"{verdicts.count('failed')} of 30 simulations"
    assert set(page.run(f"{SHOWN}.map(row => row.cells[3].lastChild.textContent)")) == {"failed"}
    assert page.run("report.state.matches.reduce((sum, one) => sum + one)") == verdicts.count("failed")
    page.click_on("#filters [name=text]")
    for letter in "telecom":
        page.press(letter)
    assert set(column(page, 0)) == {"telecom"}
    page.click_on("#filters [type=reset]")
    page.wait_for("document.querySelector('#count').textContent === '30 simulations'")
    for letter in "nothing":
        page.run("document.querySelector('#filters [name=text]').focus()")
        page.press(letter)
    assert "No simulation matches" in page.text("#simulations tbody")


def test_wheel_drag_keys_and_buttons_move_the_timeline(show: Show, thirty: EventTable) -> None:
    page = show(thirty)
    page.run("document.querySelector('#explore').scrollIntoView()")
    page.settle()
    x, y = middle_of(page, "#gantt")
    whole = seen_part(page)
    page.mouse("mouseWheel", x, y, deltaX=0, deltaY=-600)
    zoomed = seen_part(page)
    assert whole[0] < zoomed[0] < zoomed[1] < whole[1]
    page.drag((x, y), (x - 200, y))
    panned = seen_part(page)
    assert panned[0] > zoomed[0]
    assert panned[1] - panned[0] == pytest.approx(zoomed[1] - zoomed[0])
    page.press("ArrowLeft")
    assert seen_part(page)[0] < panned[0]
    page.press("0")
    assert seen_part(page) == pytest.approx(whole)
    page.drag((x, y), (x + 150, y), shift=True)
    share = (seen_part(page)[1] - seen_part(page)[0]) / (whole[1] - whole[0])
    assert share == pytest.approx(150 / (page.box("#gantt")["width"] - 78))
    page.click_on("[data-zoom=all]")
    assert seen_part(page) == pytest.approx(whole)
    strip = page.box("#overview")
    page.drag((strip["x"] + 300, strip["y"] + 20), (strip["x"] + 500, strip["y"] + 20))
    assert seen_part(page)[1] - seen_part(page)[0] == pytest.approx(200 / (strip["width"] - 78) * (whole[1] - whole[0]))


def test_from_the_whole_run_to_a_single_call(show: Show, thirty: EventTable) -> None:
    page = show(thirty)
    page.run("document.querySelector('#explore').scrollIntoView()")
    row = page.box("#simulations tbody tr:nth-child(4)")
    page.click(row["x"] + 40, row["y"] + 8)
    task = column(page, 1)[2]
    assert page.run("document.querySelector('tr[aria-current]').cells[1].textContent") == task
    assert f"task {task}" in page.text("#details h2")
    from_us, to_us = seen_part(page)
    simulation = simulations(thirty).row(2, named=True)
    assert from_us < simulation["start_ms"] * 1000 < simulation["end_ms"] * 1000 < to_us
    assert to_us - from_us < 1.2 * 1000 * (simulation["end_ms"] - simulation["start_ms"])
    calls = page.run("[...document.querySelectorAll('#details tbody tr')].map(row => row.cells[1].textContent)")
    assert len(calls) == page.run("report.simulations.calls[2]")
    place = next(n for n, name in enumerate(calls) if name.startswith("agent model"))
    page.click_on(f"#details tbody tr:nth-child({place + 1}) button")
    took_ms = page.text(f"#details tbody tr:nth-child({place + 1}) td:nth-child(4)").replace(",", "")
    page.run("document.querySelector('#explore').scrollIntoView()")
    page.settle()
    chart = page.box("#gantt")
    shown = False
    for y in range(30, int(chart["height"]), 6):
        page.mouse("mouseMoved", chart["x"] + 78 + (chart["width"] - 78) / 2, chart["y"] + y)
        tip = page.text("#tip")
        if f"task {task}" in tip and "agent model" in tip:
            shown = True
            break
    assert shown
    for word in ("took", "first token", "tokens in", "tokens out", "USD", "step", "began at"):
        assert word in tip
    seconds = float(took_ms) / 1000
    assert f"{seconds:.2f} s" in tip or f"{seconds * 1000:.0f} ms" in tip or f"{seconds:.1f} s" in tip
    page.press("Escape")
    assert page.run("document.querySelector('#details').hidden")


def test_a_click_in_the_timeline_and_keys_choose_simulations(show: Show, thirty: EventTable) -> None:
    page = show(thirty)
    page.run("document.querySelector('#explore').scrollIntoView()")
    page.settle()
    chart = page.box("#gantt")
    page.click(chart["x"] + 78 + 30, chart["y"] + 22 + 20)
    first = page.text("#details h2")
    page.press("]")
    second = page.text("#details h2")
    assert first != second
    page.press("[")
    assert page.text("#details h2") == first
    page.run("document.querySelector('#simulations .scroll').focus()")
    page.press("ArrowDown")
    assert page.text("#details h2") == second


def test_of_2000_simulations_only_the_rows_in_sight_are_in_the_page(show: Show) -> None:
    page = show(made_table(2000, most_calls=20))
    assert page.text("#count") == "2,000 simulations"
    assert page.run(f"{SHOWN}.length") < 60
    page.run("document.querySelector('#simulations .scroll').scrollTop = 1e7")
    page.settle()
    assert page.run(f"{SHOWN}.at(-1).ariaRowIndex ?? {SHOWN}.at(-1).getAttribute('aria-rowindex')") == "2001"
    took = page.run("""(() => {
        const timed = work => { const begin = performance.now(); work(); return performance.now() - begin; };
        const { gantt, view } = report;
        const zooms = Array.from({ length: 30 }, () => timed(() => { view.zoom(1.25); gantt.paint(); }));
        const pans = Array.from({ length: 30 }, () => timed(() => { view.pan(view.span / 30); gantt.paint(); }));
        const form = document.querySelector('#filters');
        form.elements.outcome.value = 'failed';
        const filter = timed(() => form.dispatchEvent(new Event('input')));
        return { zoom_ms: Math.max(...zooms), pan_ms: Math.max(...pans), filter_ms: filter };
    })()""")
    print(took)  # for those who run it with -s: what the longest of them took, in ms
    assert "of 2,000 simulations" in page.text("#count")


def test_a_single_simulation_is_not_counted_in_the_plural(show: Show) -> None:
    lines = Lines()
    common: dict[str, Any] = {"run": "R", "sim": "1", "domain": "mock", "task": "1", "start_ms": 0.0}
    read_events([LLMCallEvent(**common, duration_ms=900.0), TaskCompleteEvent(**common, duration_ms=1000.0)], lines)
    page = show(to_table(lines))
    assert page.text("#count") == "1 simulation"


def test_what_never_ended_is_told_from_what_has_no_verdict(show: Show) -> None:
    lines = Lines()
    events: list[ExecutionEvent] = []
    for name in ("1", "2"):
        common: dict[str, Any] = {"run": "R", "sim": name, "domain": "mock", "task": name, "thread": f"worker-{name}"}
        events += [TaskStartEvent(**common, start_ms=0.0), LLMCallEvent(**common, start_ms=0.0, duration_ms=5000.0)]
    events.append(TaskCompleteEvent(**common, start_ms=0.0, duration_ms=5000.0, error_type="timeout"))
    read_events(events, lines)
    page = show(to_table(lines))
    assert column(page, 2) == ["…unfinished", "–no verdict"]
    assert page.text("#outcomes p") == "–1 no verdict…1 unfinished"
    assert "…unfinished" in page.text("#legend")
    unfinished, no_verdict = lane_colours(page, 2)
    assert unfinished != no_verdict
    row = "[...document.querySelectorAll('#wall-time tr')].find(row => row.textContent.startsWith('unfinished call'))"
    assert page.run(f"{row}.querySelector('i').style.background") == "var(--unfinished)"
    page.run("document.querySelector('#filters [name=outcome]').focus()")
    page.press("u")
    assert page.text("#count") == "1 of 2 simulations"


def lane_colours(page: Page, lanes: int) -> list[str]:
    """The colour that the head of a simulation has most of, in each row of the timeline."""
    return page.run(  # type: ignore[no-any-return]  # texts
        "(() => { const { canvas } = report.gantt; const { width, height } = canvas;"
        " const { data } = canvas.getContext('2d').getImageData(0, 0, width, height);"
        " const most = (lane) => { const counts = {};"
        " for (let y = report.gantt.y(lane) + 4; y < report.gantt.y(lane) + 11; y++)"
        " for (let x = 300; x < 500; x++) { const at = 4 * (y * width + x);"
        " const colour = data.slice(at, at + 3).join(); counts[colour] = (counts[colour] ?? 0) + 1; }"
        " return Object.entries(counts).sort((one, other) => other[1] - one[1])[0][0]; };"
        f" return Array.from({{ length: {lanes} }}, (_, lane) => most(lane)); }})()"
    )


def test_names_from_a_log_are_never_html(show: Show) -> None:
    common: dict[str, Any] = {"run": HOSTILE, "sim": "1", "domain": HOSTILE, "task": HOSTILE, "trial": 0}
    lines = Lines()
    call = LLMCallEvent(**common, start_ms=0.0, duration_ms=5000.0, model=HOSTILE, error_type=HOSTILE)
    end = TaskCompleteEvent(**common, start_ms=0.0, duration_ms=5000.0, error_type=HOSTILE)
    read_events([call, end], lines)
    page = show(to_table(lines))
    page.click_on("#simulations tbody tr:nth-child(2)")
    chart = page.box("#gantt", scroll=True)
    page.mouse("mouseMoved", chart["x"] + 400, chart["y"] + 50)
    assert HOSTILE in page.text("#tip")
    assert HOSTILE in page.text("#details h2")
    assert page.run("document.querySelectorAll('img').length") == 0
    assert page.run("document.title") == HOSTILE
