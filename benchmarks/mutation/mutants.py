"""Random mutants of the core, by Cosmic Ray's operators (numbers, comparisons, arithmetic, conditions).

A place in the code is drawn first and then one of its mutants: drawn evenly, most would be one of the dozen
replacements of each plus and each less-than. What no run looks at is not drawn: annotations.
"""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from benchmarks.mutation.tree import Tree


@dataclass(frozen=True, order=True)
class Candidate:
    """One way to change a module at one place."""

    module: str
    start: tuple[int, int]  # line, from 1, and column
    end: tuple[int, int]
    operator: str
    occurrence: int

    @property
    def place(self) -> tuple[str, tuple[int, int], tuple[int, int]]:
        """Where it is."""
        return self.module, self.start, self.end

    def __str__(self) -> str:
        """Return a name that is the same in each run over the same commit."""
        return f"{self.module}:{self.start[0]}:{self.start[1]} {self.operator} {self.occurrence}"


@dataclass(frozen=True)
class Mutant:
    """A candidate that was drawn: the module's text, and the lines in which it differs."""

    candidate: Candidate
    text: str
    before: str
    after: str


def candidates(tree: Tree, package: str) -> list[Candidate]:
    """Return every way to change the modules of `package`, in order. Needs Cosmic Ray."""
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.plugins import get_operator, operator_names

    classes = [(name, get_operator(name)) for name in sorted(operator_names())]
    operators = [(name, known()) for name, known in classes if not known.arguments()]
    found = []
    for module in tree.modules(package):
        nodes = list(ast_nodes(get_ast(tree.read(module))))
        for name, operator in operators:
            places = [place for node in nodes for place in operator.mutation_positions(node)]
            found += [
                Candidate(module, start, end, name, number) for number, (start, end) in enumerate(places)
            ]
    return sorted(found)


def in_random_order(found: Sequence[Candidate], rng: Random) -> Iterator[Candidate]:
    """Yield all candidates: one of each place first, then a second one of each that has one, and so on."""
    by_place: dict[tuple[str, tuple[int, int], tuple[int, int]], list[Candidate]] = {}
    for candidate in found:
        by_place.setdefault(candidate.place, []).append(candidate)
    for at_one_place in by_place.values():
        rng.shuffle(at_one_place)
    while by_place:
        places = list(by_place)
        rng.shuffle(places)
        for place in places:
            yield by_place[place].pop()
            if not by_place[place]:
                del by_place[place]


def draw(tree: Tree, package: str, count: int, seed: int) -> list[Mutant]:
    """Return `count` mutants of `package`, the same for the same commit, seed and release of Cosmic Ray."""
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator

    drawn: list[Mutant] = []
    seen: set[tuple[str, str]] = set()  # two operators may do the same
    for candidate in in_random_order(candidates(tree, package), Random(seed)):
        if len(drawn) == count:
            break
        original = tree.read(candidate.module)
        text = mutate_code(original, get_operator(candidate.operator)(), candidate.occurrence)
        if text is None or not can_matter(original, text) or (candidate.module, text) in seen:
            continue
        seen.add((candidate.module, text))
        drawn.append(Mutant(candidate, text, *changed_lines(original, text)))
    return drawn


def can_matter(original: str, mutant: str) -> bool:
    """Tell whether the two differ in anything but annotations and names of types."""
    return _essence(original) != _essence(mutant)


def changed_lines(original: str, mutant: str) -> tuple[str, str]:
    """Return the lines that differ, before and after, without the indentation."""
    before, after = original.splitlines(), mutant.splitlines()
    while before and after and before[0] == after[0]:
        del before[0], after[0]
    while before and after and before[-1] == after[-1]:
        del before[-1], after[-1]
    return tuple(" ".join(line.strip() for line in lines) for lines in (before, after))


class _Essence(ast.NodeTransformer):
    """Drops what no run looks at."""

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        node.returns = None
        self.generic_visit(node)
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        # A field of a struct keeps its name; what type it has is checked by mypy alone.
        node.annotation = ast.Constant(None)
        self.generic_visit(node)
        return node

    def visit_Assign(self, node: ast.Assign) -> ast.AST | None:
        return None if _is_alias(node.value) else self.generic_visit(node)

    def visit_If(self, node: ast.If) -> ast.AST | None:
        is_for_types = "TYPE_CHECKING" in ast.dump(node.test)  # negated, too
        return None if is_for_types else self.generic_visit(node)


def _essence(text: str) -> str:
    try:
        return ast.dump(_Essence().visit(ast.parse(text)))
    except SyntaxError:
        return text


def _is_alias(value: ast.expr) -> bool:
    """Tell whether `value` is a union of names, as in `Message = Ping | Ack`."""
    if isinstance(value, ast.BinOp):
        return _is_alias(value.left) and _is_alias(value.right)
    return isinstance(value, ast.Name) and value.id[:1].isupper() and not value.id.isupper()
