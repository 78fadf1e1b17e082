"""A batch whose process is killed."""

import pytest

from tests.processes.commands import Place
from tests.processes.nights import kill_in_the_middle


@pytest.mark.parametrize("count", [24])
def test_a_killed_batch_is_taken_up_again(place: Place, count: int) -> None:
    """After a SIGKILL in the middle the same command exports the rest, and no iModel twice."""
    kill_in_the_middle(place, count)
