"""The tables of the results page, in Markdown."""

from collections import Counter
from collections.abc import Iterator, Sequence

from benchmarks.mutation.equivalents import why_equivalent
from benchmarks.mutation.journal import Finding


def deliberate_lines(findings: Sequence[Finding], tests: Sequence[str], swarm: str) -> Iterator[str]:
    """Yield a row for each deliberate bug: how many tests fail, the first one, what the swarm says."""
    yield f"| bug | {' | '.join(tests)} | first test | {swarm} |"
    yield "|---|" + "--:|" * len(tests) + "---|---|"
    for finding in findings:
        counts = [str(len(finding.caught[name])) for name in tests]
        first = next((by[0] for name in tests if (by := finding.caught[name])), "**none**")
        rule = next(iter(finding.caught[swarm]), "**nothing**")
        yield f"| {finding.name} | {' | '.join(counts)} | {_code(first)} | {rule} |"


def random_lines(findings: Sequence[Finding]) -> Iterator[str]:
    """Yield who killed how many, the share, and every survivor."""
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
    if not survivors:
        return
    yield ""
    yield "| survivor | was | became | verdict |"
    yield "|---|---|---|---|"
    for finding in survivors:
        why = reasons[finding.name]
        verdict = f"equivalent: {why}" if why is not None else "**hole**"
        place = finding.name.split(" ")[0].rpartition(":")[0]
        yield f"| {place} | {_code(finding.before)} | {_code(finding.after)} | {verdict} |"


def share(drawn: int, survived: int, equivalent: int) -> str:
    """Return the figures in a sentence: of all mutants, and of those that can be killed."""
    killed = drawn - survived
    of_all = f"{killed} of {drawn} mutants killed ({100 * killed / drawn:.1f} %)"
    if not equivalent:
        return f"{of_all}."
    able = drawn - equivalent
    return f"{of_all}; of the {able} that are not equivalent {100 * killed / able:.1f} %."


def _code(text: str) -> str:
    if text.startswith(("**", "no end")) or not text:
        return text
    return f"`{text}`".replace("|", "\\|")
