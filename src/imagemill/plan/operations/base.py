"""What a group of operations has to say for itself before any pixel is touched: three tables.

CHECK     what no source could make acceptable; operations that are not in it are always acceptable
RESOLVE   steps and the size after them; operations that are not in it are their own step, and change no size
PRICE     nanoseconds a step takes, and the area after it
"""

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from imagemill.model.media import Format, MediaInfo
from imagemill.model.recipe import Encode, Recipe, SourceRef
from imagemill.plan.geometry import Box, Size
from imagemill.plan.steps import Step, Steps
from imagemill.settings import Limits

AS_LAYER = Encode(Format.PNG)
"""Stands for what a layer is made for: one frame, with its transparency."""


class Scene(Struct, frozen=True):
    """What an operation meets."""

    size: Size
    """Of the picture so far."""
    info: MediaInfo
    recipe: Recipe
    at: int
    """Which of *recipe*'s operations it is."""
    trimmed: tuple[Box, ...] = ()
    """What is left of the picture at each `Trim`, in their order, as far as that was seen."""
    layer: Callable[[SourceRef, Recipe], Steps] | None = None
    """How a layer of that source is made by that recipe, which has no `Encode`."""


Check = Callable[[Any, Limits], None]
"""Raises `LimitExceeded`."""
Resolve = Callable[[Any, Scene], tuple[list[Step], Size]]
Price = Callable[[Any, int, MediaInfo], tuple[float, int]]
"""Of a step of a picture of so many pixels."""


class Group(Struct, frozen=True):
    """The tables of one group of operations."""

    check: Mapping[type, Check]
    resolve: Mapping[type, Resolve]
    price: Mapping[type, Price]
