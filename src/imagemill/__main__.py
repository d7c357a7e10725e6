"""Run the command line as ``python -m imagemill``."""

from imagemill.cli import main

raise SystemExit(main())
