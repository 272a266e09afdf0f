"""``report`` and ``dashboard`` of a tuned study of the embedded model, seen with a browser."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import html5lib
import pytest
from typer.testing import Result

from frdiff_tune.search import front, load_study
from tests.cli import child
from tests.cli.browser import opened
from tests.cli.conftest import TRIALS, Run

MOST_BYTES = 5_000_000


@pytest.fixture(scope="module")
def reported(tuned: Result, study: Path, folder: Path, run: Run) -> tuple[Path, Result]:
    """The folder of a report, and what ``report`` said."""
    assert tuned.exit_code == 0, tuned.output
    place = folder / "report"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("frdiff_tune.report.reported.ROUNDS", 1)
        return place, run("report", study, "-o", place, "--pictures", 2, "--trial", 1, "--trial", 2)


def test_report_writes_a_page_and_every_figure_twice(reported: tuple[Path, Result]) -> None:
    place, result = reported
    assert result.exit_code == 0, result.output
    assert str(place / "report.html") in result.stdout.replace("\n", "")
    figures = {path.name for path in place.iterdir()} - {"report.html"}
    names = {"front", "calls", "growth", "similarity", "schedule-1", "schedule-2", "pictures-1", "pictures-2"}
    assert figures == {f"{name}.{ending}" for name in names for ending in ("png", "svg")}
    assert (place / "report.html").stat().st_size < MOST_BYTES


def test_the_page_is_valid_html_that_says_what_was_found_and_how_to_use_it(reported: tuple[Path, Result], study: Path) -> None:
    page = (reported[0] / "report.html").read_text(encoding="utf-8")
    html5lib.HTMLParser(strict=True).parse(page)
    assert f"{TRIALS} policies measured" in page and "asked for: trial 1" in page
    assert f"frdiff-tune export {study} --pick trial:1 -o policy-1.json" in page
    assert "applied = apply_policy(pipe, &#39;policy-1.json&#39;)" in page
    assert "http" not in re.sub(r"data:[^\"]*", "", page), "it names no address"


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_shows_every_figure_and_asks_nobody(reported: tuple[Path, Result], width: int) -> None:
    with opened(width) as seen:
        seen.page.goto((reported[0] / "report.html").as_uri())
        seen.keep(f"report-{width}")
        widths = seen.page.evaluate("[...document.images].map(image => image.naturalWidth)")
        assert len(widths) == 8 and all(widths)
        assert seen.page.evaluate("[...document.images].every(image => image.alt.length > 20)")
        assert seen.page.evaluate("document.documentElement.scrollWidth") == width, "the page itself does not scroll sideways"
        assert (seen.said, seen.abroad) == ([], [])


def test_a_report_without_pictures_needs_no_model(tuned: Result, study: Path, folder: Path, run: Run) -> None:
    result = run("report", study, "-o", folder / "quick", "--pictures", 0, "--json")
    assert result.exit_code == 0, result.output
    written = json.loads(result.stdout)
    names = {Path(path).stem.partition("-")[0] for path in written["figures"]}
    assert names == {"front", "calls", "growth", "schedule"} and Path(written["page"]).is_file()


def test_a_report_on_a_trial_that_is_not_there_says_which_there_are(tuned: Result, study: Path, folder: Path, run: Run) -> None:
    result = run("report", study, "-o", folder / "none", "--trial", 99)
    assert result.exit_code == 2 and "numbered 0 to" in " ".join(result.stderr.split())
    assert not (folder / "none").exists()


@pytest.fixture(scope="module")
def dashboard(tuned: Result, study: Path) -> Iterator[str]:
    """The address of a study in a running dashboard whose pictures are drawn."""
    assert tuned.exit_code == 0, tuned.output
    with child.dashboard(study, "--pictures", 2) as address:
        yield address


def test_the_dashboard_names_objectives_and_shows_the_front(dashboard: str) -> None:
    with opened() as seen:
        seen.page.goto(dashboard)
        seen.page.get_by_text("Time against likeness: lower left is better").wait_for()
        assert seen.page.get_by_text("latency, ms per call").first.is_visible()
        assert seen.page.get_by_text("LPIPS", exact=True).first.is_visible()
        assert seen.page.locator("#front .trace, [id*=front] .trace").count() >= 2
        seen.keep("dashboard")
        assert (seen.said, seen.abroad) == ([], [])


def test_a_trial_has_its_note_and_its_pictures(dashboard: str, study: Path) -> None:
    fastest = min(front(load_study(study)).best, key=lambda point: point.trial.latency_ms.value)
    with opened() as seen:
        seen.page.goto(f"{dashboard}/trials?numbers={fastest.trial.number}")
        seen.page.get_by_text("times faster").first.wait_for()
        pictures = seen.page.locator("img[src*='/artifacts/']")
        pictures.first.wait_for()
        assert pictures.count() == 2, "pictures and schedule"
        assert pictures.evaluate_all("images => images.every(image => image.naturalWidth > 300)")
        pictures.first.scroll_into_view_if_needed()
        seen.keep("dashboard-trial")
        assert (seen.said, seen.abroad) == ([], [])
