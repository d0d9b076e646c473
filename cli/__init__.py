"""The command line: it reads arguments, shows progress and prints; everything else is in the package."""

from .main import main

__all__ = ["main"]
