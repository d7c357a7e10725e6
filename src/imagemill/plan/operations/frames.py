"""Policy, steps and prices of `model.operations.frames`: no step of its own, as `plan.frames` settles what is read."""

from collections.abc import Mapping

from imagemill.model.recipe import Frames
from imagemill.plan.geometry import Size
from imagemill.plan.operations.base import Group, Resolve, Scene
from imagemill.plan.steps import Step


def _frames(_op: Frames, scene: Scene) -> tuple[list[Step], Size]:
    return [], scene.size


_RESOLVE: Mapping[type, Resolve] = {Frames: _frames}
GROUP = Group({}, _RESOLVE, {})
