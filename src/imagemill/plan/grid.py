"""Keep what callers may choose freely to a few values: so that one source has a few renditions, and not millions.

Grid     widths, heights and qualities of ``[limits]``; an empty one leaves its numbers free. 0, "as the proportions (or
         the format) give it", is always on the grid.
Outside  ``refuse``: a number beside the grid is a 422. ``round``: it becomes the next one up, or the largest. What a
         client's hints make of a URL is rounded in any case, and the server's own quality for those that save data
         is on any grid: one URL is for all clients.
Source   threat R10: keys made in the thousands by width and quality fill a cache and keep every worker busy.
"""

from msgspec.structs import replace

from imagemill.model.errors import LimitExceeded
from imagemill.model.recipe import Encode, Extend, Layer, Operation, Recipe, Resize
from imagemill.settings import Limits


def on_grid(recipe: Recipe, limits: Limits) -> Recipe:
    """*recipe* with its sizes and qualities on the grid, or `LimitExceeded`."""
    if not (limits.widths or limits.heights or limits.qualities):
        return recipe
    return tuple(_on_grid(op, limits) for op in recipe)


def _on_grid(op: Operation, limits: Limits) -> Operation:
    match op:
        case Resize():
            if (op.width_ppm and limits.widths) or (op.height_ppm and limits.heights):
                raise LimitExceeded("grid", "a size in percent is none of those that may be asked for here")
            return replace(
                op,
                width_px=_near("width", op.width_px, limits.widths, limits),
                height_px=_near("height", op.height_px, limits.heights, limits),
                min_width_px=_near("min width", op.min_width_px, limits.widths, limits),
                min_height_px=_near("min height", op.min_height_px, limits.heights, limits),
            )
        case Extend() if not op.is_ratio:
            return replace(
                op,
                width=_near("width", op.width, limits.widths, limits),
                height=_near("height", op.height, limits.heights, limits),
            )
        case Layer():
            return replace(op, recipe=on_grid(op.recipe, limits))
        case Encode():
            return replace(op, quality=_near("quality", op.quality, limits.qualities, limits))
    return op


def _near(name: str, value: int, grid: tuple[int, ...], limits: Limits) -> int:
    if not grid or not value or value in grid:
        return value
    if limits.grid_outside == "refuse":
        raise LimitExceeded("grid", f"{name}: {value} is none of {', '.join(map(str, sorted(grid)))}")
    return min((step for step in grid if step > value), default=max(grid))
