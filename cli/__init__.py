"""The command line: it reads arguments, shows progress and prints. The package does everything else."""

from .main import main

__all__ = ["main"]
