"""What golden tests may ask for by the name of an argument."""

import pytest

from golden import sources


@pytest.fixture
def source(request):
    """The source that `sources.everywhere` names."""
    return sources.source(request.param)
