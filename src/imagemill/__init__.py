"""imagemill: image transcoding over HTTP, with the pixels kept at arm's length."""

__version__ = "0.1.0"
