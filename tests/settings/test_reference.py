"""The page in the documentation and the declarations say the same."""

from tests.tools.settings_reference import PATH, reference


def test_the_reference_of_settings_is_current():
    assert PATH.read_text() == reference(), "run: python -m tests.tools.settings_reference"
