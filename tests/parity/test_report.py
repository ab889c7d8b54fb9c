"""docs/parity.md says what there is."""

from .compare import torch
from .report import PATH, PLACES, names, reason, report


def test_the_list_of_names_is_up_to_date():
    assert torch.__version__
    assert PATH.read_text() == report(), "run: python -m tests.parity.report"


def test_every_name_has_a_reason():
    assert all(reason(name) for theirs, _ in PLACES.values() for name in names(theirs))
