"""What passes between the parts of the policy, and what is kept of it, are values."""

import inspect
import pkgutil
from importlib import import_module

import pytest
from msgspec import Struct

import lb.policy
from lb.policy.convergence import DetectorView
from lb.policy.damping import FlapConfig
from lb.policy.plan import PlanConfig
from lb.policy.settle import SettleConfig

VALUES = sorted(
    {
        kind
        for module in pkgutil.iter_modules(lb.policy.__path__, "lb.policy.")
        for _, kind in inspect.getmembers(import_module(module.name), inspect.isclass)
        if issubclass(kind, Struct) and kind.__module__ == module.name
    },
    key=lambda kind: kind.__qualname__,
)


def test_the_values_are_found():
    assert {"Claim", "PlanConfig", "DetectorView", "Decision"} <= {kind.__name__ for kind in VALUES}


@pytest.mark.parametrize("kind", VALUES, ids=lambda kind: kind.__name__)
def test_values_are_frozen(kind):
    assert kind.__struct_config__.frozen


@pytest.mark.parametrize("kind", [DetectorView, FlapConfig, PlanConfig, SettleConfig])
def test_values_of_many_numbers_are_made_by_name(kind):
    with pytest.raises(TypeError, match="positional"):
        kind(1)
