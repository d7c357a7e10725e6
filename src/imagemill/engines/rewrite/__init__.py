"""A source as a rendition of itself, where nothing was asked that changes a pixel: written anew, not copied.

Each writer here knows the parts of its format that make pixels, checks that they are whole, and writes those alone;
what it does not know, or what may hold more than pixels, makes it give up with None. So nothing hides in an output: no
comment, no profile, no second file behind the end (threat D15).
"""
