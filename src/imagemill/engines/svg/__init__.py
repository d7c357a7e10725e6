"""Vector pictures: read by our own strict rules, written anew, and only then given to librsvg.

What a picture may hold is an allow-list (`rules`); all else is left out. Nothing outside the file is ever named in what
librsvg is given. What would cost without end is counted before it is drawn (`loads`) and refused.
"""
