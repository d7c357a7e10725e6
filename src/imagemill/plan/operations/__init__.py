"""All groups of operations, joined: what `plan.prepare`, `plan.resolve` and `plan.cost` look up."""

from collections.abc import Mapping

from imagemill.plan.operations import encoding, frames, geometry, layers, look, text
from imagemill.plan.operations.base import Check, Price, Resolve

_GROUPS = (frames.GROUP, geometry.GROUP, look.GROUP, layers.GROUP, text.GROUP, encoding.GROUP)
CHECK: Mapping[type, Check] = {kind: check for group in _GROUPS for kind, check in group.check.items()}
RESOLVE: Mapping[type, Resolve] = {kind: resolve for group in _GROUPS for kind, resolve in group.resolve.items()}
PRICE: Mapping[type, Price] = {kind: price for group in _GROUPS for kind, price in group.price.items()}
