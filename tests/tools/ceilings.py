"""Check the size ceilings of the style guide: modules of 450 lines, functions of 50.

Run as a script; prints what is too long and exits 1, or one line and 0.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

MAX_MODULE_LINES = 450
MAX_FUNCTION_LINES = 50
ROOT = Path(__file__).resolve().parents[2]


def breaches(path: Path) -> Iterator[str]:
    """Yield a line for everything in the module at `path` that is too long."""
    text = path.read_text()
    lines = text.count("\n")
    name = path.relative_to(ROOT)
    if lines > MAX_MODULE_LINES:
        yield f"{name}: {lines} lines, at most {MAX_MODULE_LINES}"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > MAX_FUNCTION_LINES:
                yield f"{name}:{node.lineno}: {node.name} has {length} lines, at most {MAX_FUNCTION_LINES}"


def main() -> int:
    """Check both packages."""
    modules = sorted(path for package in ("gossip", "lb") for path in (ROOT / package).rglob("*.py"))
    found = [breach for path in modules for breach in breaches(path)]
    print("\n".join(found) or f"ceilings: {len(modules)} modules hold")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
