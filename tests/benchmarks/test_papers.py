"""What the reproductions of papers share: work in processes, intervals, tables, plots."""

from random import Random
from statistics import NormalDist

import msgspec
import pytest

from benchmarks.papers.confidence import (
    Estimate,
    bootstrap,
    mean,
    median,
    proportion,
    quantile,
    student_quantile,
)
from benchmarks.papers.plot import Panel, Series, draw
from benchmarks.papers.pool import MOST_JOBS, Journal, gather
from benchmarks.papers.table import markdown


class Sum(msgspec.Struct, frozen=True):
    one: int
    other: int


class Total(msgspec.Struct, frozen=True):
    total: int


def add(work: Sum) -> Total:
    return Total(work.one + work.other)


def never(work: Sum) -> Total:
    raise AssertionError(f"{work} was done already")


WORK = [Sum(number, 1) for number in range(20)]


@pytest.mark.parametrize("jobs", [1, 2])
def test_results_come_in_the_order_of_the_work_however_many_processes(jobs):
    assert list(gather(add, WORK, jobs=jobs)) == [(work, Total(work.one + 1)) for work in WORK]


@pytest.mark.parametrize("jobs", [0, MOST_JOBS + 1])
def test_the_number_of_processes_is_bounded(jobs):
    with pytest.raises(ValueError, match="jobs must be from 1 to 64"):
        list(gather(add, WORK, jobs=jobs))


def test_an_interrupted_measurement_goes_on_where_it_stopped(tmp_path):
    path = tmp_path / "runs.jsonl"
    list(gather(add, WORK[:12], journal=Journal(path, Total)))
    with path.open("a") as file:
        file.write('[{"one":12,"ot')  # killed in the middle of a line
    found = dict(gather(add, WORK[:14], journal=Journal(path, Total)))
    assert len(path.read_text().splitlines()) == 14
    assert dict(gather(never, WORK[:14], journal=Journal(path, Total))) == found


def test_results_of_another_measurement_are_refused_by_file_and_line(tmp_path):
    path = tmp_path / "runs.jsonl"
    path.write_text('[{"one":1},{"totals":2}]\n')
    with pytest.raises(ValueError, match=r"runs\.jsonl:1: .*total"):
        Journal(path, Total)


@pytest.mark.parametrize(
    ("freedom", "quantile"), [(2, 4.303), (4, 2.776), (9, 2.262), (30, 2.042), (1000, 1.962)]
)
def test_students_quantile_is_the_tables(freedom, quantile):
    assert student_quantile(freedom) == pytest.approx(quantile, rel=0.01)


def test_the_mean_of_two_values_has_no_bounds_and_of_equal_ones_no_width():
    assert mean([1.0, 3.0]).text() == "2.00 [too few]"
    assert mean([2.0] * 3) == Estimate(2.0, 2.0, 2.0)


def test_wilsons_interval_is_the_textbooks():
    share = proportion(8, 10)
    assert (share.low, share.high) == (pytest.approx(0.4902, abs=1e-4), pytest.approx(0.9433, abs=1e-4))
    assert proportion(0, 10).low == pytest.approx(0.0)
    assert 0.27 < proportion(0, 10).high < 0.28


@pytest.mark.parametrize("estimate", [mean, median])
def test_intervals_hold_the_truth_about_as_often_as_they_say(estimate):
    rng = Random(1)
    draws = [[NormalDist(5, 2).inv_cdf(1 - rng.random()) for _ in range(40)] for _ in range(60)]
    held = sum(found.low <= 5 <= found.high for found in map(estimate, draws))
    assert 51 <= held <= 60


def test_a_bootstrap_says_the_same_each_time():
    values = [Random(2).random() for _ in range(30)]
    assert bootstrap(values, max) == bootstrap(values, max)


def test_a_quantile_lies_between_its_neighbours():
    assert quantile([1.0, 2.0, 4.0], 0.75) == 3.0
    assert quantile([7.0], 0.99) == 7.0


def test_a_table_is_markdown_and_refuses_rows_that_do_not_fit():
    assert markdown(["N", "ours"], [[6, "1.5"]]) == "| N | ours |\n|---|--:|\n| 6 | 1.5 |\n"
    with pytest.raises(ValueError, match="3 cells under 2 heads"):
        markdown(["N", "ours"], [[1, 2, 3]])


def test_the_same_figures_give_the_same_picture(tmp_path):
    pytest.importorskip("matplotlib", reason="pictures need the dependency group bench")
    series = [
        Series("ours", [1, 2], [Estimate(1.0, 0.5, 2.0), 3.0]),
        Series("paper", [1], [2.0], is_paper=True),
    ]
    panel = Panel(title="time", x="members", y="s", series=series, y_scale="log")
    for name in ("one.svg", "other.svg"):
        draw(tmp_path / name, [panel])
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "other.svg").read_bytes()
