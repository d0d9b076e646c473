"""The `methods` command: the restore methods."""

import click


@click.command()
def methods() -> None:
    """The restore methods: what each reads, what it changes, and where it is published."""
    from recover.search.methods import ABOUT, METHODS

    from . import show

    for name, about in ABOUT.items():
        needs = " (needs --unaligned)" if about.unaligned else ""
        show.out(f"{name:11} {(METHODS[name].__doc__ or '').splitlines()[0]}\n")
        show.out(f"{'':11} reads {about.reads}{needs}; changes {about.changes}; source: {about.source}\n")
    show.out("Your own method: package.module:function. Options of a method: --option NAME=VALUE, see docs/cli.md.\n")
