"""The tables of the results page, in Markdown."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from benchmarks.mutation.equivalents import why_equivalent
from benchmarks.mutation.journal import Finding


def deliberate_lines(findings: Sequence[Finding], tests: Sequence[str], swarm: str) -> Iterator[str]:
    """Yield a row for each deliberate bug: how many tests fail, the first one, what the swarm says."""
    yield f"| bug | {' | '.join(tests)} | first test | {swarm} |"
    yield "|---|" + "--:|" * len(tests) + "---|---|"
    for finding in findings:
        counts = [_count(finding.caught[name]) for name in tests]
        first = next((by[0] for name in tests if _is_named(by := finding.caught[name])), "**none**")
        rule = next(iter(finding.caught[swarm]), "**nothing**")
        yield f"| {finding.name} | {' | '.join(counts)} | {_code(first)} | {rule} |"


def random_lines(findings: Sequence[Finding]) -> Iterator[str]:
    """Yield who killed how many, the share, the survivors, and what killed each of the others."""
    killers = Counter(finding.killer for finding in findings)
    survivors = [finding for finding in findings if finding.killer is None]
    reasons = {finding.name: why_equivalent(finding.before, finding.after) for finding in survivors}
    equivalent = sum(why is not None for why in reasons.values())
    yield "| killed by | mutants |"
    yield "|---|--:|"
    for witness, count in killers.items():
        if witness is not None:
            yield f"| {witness} | {count} |"
    yield f"| nobody: equivalent | {equivalent} |"
    yield f"| nobody: a hole | {len(survivors) - equivalent} |"
    yield ""
    yield share(len(findings), len(survivors), equivalent)
    yield ""
    yield from _by_module(findings)
    if survivors:
        yield ""
        yield from _survivors(survivors, reasons)
    yield ""
    yield "| killed | was | became | by |"
    yield "|---|---|---|---|"
    for finding in findings:
        if finding.killer is not None:
            by = finding.caught[finding.killer][0]
            yield f"| {_place(finding)} | {_code(finding.before)} | {_code(finding.after)} | {_code(by)} |"


def _by_module(findings: Sequence[Finding]) -> Iterator[str]:
    drawn = Counter(_module(finding) for finding in findings)
    killed = Counter(_module(finding) for finding in findings if finding.killer is not None)
    yield "| module | mutants | killed |"
    yield "|---|--:|--:|"
    for module in sorted(drawn):
        yield f"| {module} | {drawn[module]} | {killed[module]} |"


def _survivors(survivors: Sequence[Finding], reasons: Mapping[str, str | None]) -> Iterator[str]:
    yield "| survivor | was | became | verdict |"
    yield "|---|---|---|---|"
    for finding in survivors:
        why = reasons[finding.name]
        verdict = f"equivalent: {why}" if why is not None else "**hole**"
        yield f"| {_place(finding)} | {_code(finding.before)} | {_code(finding.after)} | {verdict} |"


def share(drawn: int, survived: int, equivalent: int) -> str:
    """Return the figures in a sentence: of all mutants, and of those that can be killed."""
    killed = drawn - survived
    of_all = f"{killed} of {drawn} mutants killed ({100 * killed / drawn:.1f} %)"
    if equivalent in (0, drawn):
        return f"{of_all}."
    able = drawn - equivalent
    return f"{of_all}; of the {able} that are not equivalent {100 * killed / able:.1f} %."


def _place(finding: Finding) -> str:
    """Return module and line."""
    return finding.name.split(" ")[0].rpartition(":")[0].rpartition("/")[2]


def _module(finding: Finding) -> str:
    return _place(finding).partition(":")[0]


def _is_named(caught_by: Sequence[str]) -> bool:
    return bool(caught_by) and caught_by[0].startswith("tests/")


def _count(caught_by: Sequence[str]) -> str:
    """Return how many tests; where there are no names, it is the reason."""
    return str(len(caught_by)) if _is_named(caught_by) or not caught_by else caught_by[0]


def _code(text: str) -> str:
    if text.startswith(("**", "no end", "pytest")) or not text:
        return text
    return f"`{text}`".replace("|", "\\|")
