"""No module imports itself, however long the way round: imports inside of functions count."""

from graphlib import CycleError, TopologicalSorter

import grimp
import pytest


def importers_first(graph: grimp.ImportGraph) -> list[str]:
    """Return all modules in an order in which each stands after the modules that it imports."""
    needs = {module: graph.find_modules_directly_imported_by(module) for module in sorted(graph.modules)}
    return list(TopologicalSorter(needs).static_order())


def test_imports_make_no_circle():
    graph = grimp.build_graph("gossip", "lb", exclude_type_checking_imports=True, cache_dir=None)
    assert len(importers_first(graph)) > 200


def test_a_circle_would_be_seen():
    graph = grimp.ImportGraph()
    for importer, imported in (("a", "b"), ("b", "c"), ("c", "a")):
        graph.add_import(importer=importer, imported=imported)
    with pytest.raises(CycleError) as caught:
        importers_first(graph)
    assert {"a", "b", "c"} == set(caught.value.args[1])
