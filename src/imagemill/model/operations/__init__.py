"""What can be done to a picture: one small type for each operation, in groups.

Units    ``_px`` are pixels, ``_ppm`` parts per million, ``_centi`` hundredths, ``_percent`` and ``_degrees`` as they
         say; ``_ms`` milliseconds; colours are ``0xRRGGBBAA``.
Errors   `BadOption` from ``__post_init__``, which also runs when a recipe is decoded from bytes.
         Size limits are policy (`plan.operations`) and not checked here.
"""
