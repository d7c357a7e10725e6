"""Native parameters of `model.operations.frames`."""

from imagemill.dialects.native.reading import Parameter

PARAMETERS: tuple[Parameter, ...] = ()
