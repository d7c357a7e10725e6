"""Where a box lies that is to show faces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagemill.plan.faces import around
from imagemill.plan.geometry import Box, Size

OF = Size(600, 400)
faces = st.lists(
    st.builds(Box, st.integers(0, 500), st.integers(0, 300), st.integers(1, 100), st.integers(1, 100)),
    min_size=1,
    max_size=20,
)
sizes = st.builds(Size, st.integers(1, 600), st.integers(1, 400))


def covered(box, face):
    width = min(box.left + box.width, face.left + face.width) - max(box.left, face.left)
    height = min(box.top + box.height, face.top + face.height) - max(box.top, face.top)
    return max(0, width) * max(0, height)


@given(faces, sizes)
def test_stays_in_the_picture(found, size):
    """Exactly as large as it was, wherever the faces are."""
    box = around(found, size, OF)
    assert (box.width, box.height) == (size.width, size.height)
    assert 0 <= box.left <= OF.width - box.width
    assert 0 <= box.top <= OF.height - box.height


@given(faces, sizes, st.integers(0, 600), st.integers(0, 400))
def test_no_other_box_covers_more(found, size, x, y):
    """Of the sixteen largest: compared with any box that is picked."""
    largest = sorted(found, key=lambda face: face.width * face.height, reverse=True)[:16]
    other = Box(min(x, OF.width - size.width), min(y, OF.height - size.height), size.width, size.height)
    box = around(found, size, OF)
    assert sum(covered(box, f) for f in largest) >= sum(covered(other, f) for f in largest)


small_faces = st.lists(
    st.builds(Box, st.integers(0, 16), st.integers(0, 10), st.integers(1, 8), st.integers(1, 8)), min_size=1, max_size=4
)


@given(small_faces, st.builds(Size, st.integers(1, 24), st.integers(1, 18)))
def test_none_of_all_boxes_covers_more(found, size):
    """In a picture so small that every one is tried."""
    of = Size(24, 18)
    every = (Box(x, y, size.width, size.height) for x in range(25 - size.width) for y in range(19 - size.height))
    most = max(sum(covered(box, face) for face in found) for box in every)
    assert sum(covered(around(found, size, of), face) for face in found) == most


def test_the_largest_of_a_crowd_count():
    """By their area: sixteen, whichever way they are longer."""
    small = [Box(150 + n % 6 * 70, 90 + n // 6 * 100, 9, 9) for n in range(16)]
    for face in (Box(10, 10, 2, 60), Box(10, 10, 60, 2)):
        box = around([*small, face], Size(60, 60), OF)
        assert (box.left, box.top) <= (10, 10)
    assert around([*small, Box(10, 10, 1, 60)], Size(60, 60), OF).left > 70


@pytest.mark.parametrize(
    ("found", "size", "wanted"),
    [
        ([Box(290, 190, 20, 20)], Size(200, 100), Box(200, 150, 200, 100)), ([Box(0, 0, 20, 20)], Size(200, 100), Box(0, 0, 200, 100)),
        ([Box(580, 380, 20, 20)], Size(200, 100), Box(400, 300, 200, 100)),
        ([Box(100, 100, 40, 40), Box(300, 100, 40, 40)], Size(300, 400), Box(70, 0, 300, 400)),
        ([Box(0, 100, 40, 40), Box(300, 100, 40, 40), Box(400, 100, 40, 40)], Size(200, 400), Box(270, 0, 200, 400)),
        ([Box(0, 0, 300, 300)], Size(100, 100), Box(100, 100, 100, 100)),
    ],
)  # fmt: skip
def test_examples(found, size, wanted):
    """In the middle, as far as the edges allow; as many as there is room for; of a face too large, its middle."""
    assert around(found, size, OF) == wanted
