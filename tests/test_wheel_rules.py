"""The manifest's ranges live beside the versions that Home Assistant pins."""

import json

from packaging.requirements import Requirement
import pytest

from checks.wheels import MANIFEST, pin_conflicts, pins


def test_the_manifest_admits_what_home_assistant_pins() -> None:
    """No constraint and no core integration pins a version outside a range of the manifest."""
    requirements = json.loads(MANIFEST.read_text())["requirements"]

    assert list(pin_conflicts(requirements, list(pins()))) == []


def test_core_pins_are_read_from_constraints_and_manifests() -> None:
    """The pins of numpy in the constraints and of influxdb-client in core's influxdb integration are among those read."""
    found = {(requirement.name.lower(), where) for requirement, where in pins()}

    assert ("numpy", "package_constraints.txt") in found
    assert ("influxdb-client", "components/influxdb/manifest.json") in found


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("numpy>=2.4", "numpy==2.3.2"),
        ("influxdb_client>=1.51", "influxdb-client==1.50.0"),
        ("openai>=3.10,<4", "OpenAI==2.9.0"),
        ("demo>=2", "demo==1.*"),
    ],
)
def test_a_pin_outside_the_range_is_told(ours: str, theirs: str) -> None:
    """A pinned version that the range does not admit gives one line with both and the place of the pin."""
    found = list(pin_conflicts([ours], [(Requirement(theirs), "here")]))

    assert found == [f"{ours} does not admit {Requirement(theirs)}, pinned in here"]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("numpy>=2.3,<3", "numpy==2.3.2"),
        ("numpy>=2.3,<3", "numpy-financial==1.0"),
        ("numpy>=2.3,<3", "numpy>=1"),
    ],
)
def test_a_pin_inside_the_range_is_not_told(ours: str, theirs: str) -> None:
    """A pin that fits, another package and a constraint that is no pin give nothing."""
    assert list(pin_conflicts([ours], [(Requirement(theirs), "here")])) == []
