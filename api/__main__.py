"""``python -m api COMMAND``, which is ``./run COMMAND``."""

from __future__ import annotations

import sys

from api.orphans import end_with_parent


def main() -> None:
    """Run one command of the command line."""
    end_with_parent()
    import typer

    from api.cli.demo import demo
    from api.cli.keys import keys
    from api.cli.migrate import migrate
    from api.cli.rebalances import verify_rebalances
    from api.cli.sending import send_executions
    from api.cli.serve import serve
    from api.cli.views import park, rebuild, verify, views

    app = typer.Typer(
        help="Foliolog: portfolios on one event log.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    app.callback()(lambda: None)
    for command in (serve, demo, send_executions, views, rebuild, verify, verify_rebalances, park, migrate):
        app.command()(command)
    app.add_typer(keys(), name="keys")
    app(prog_name="./run")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:  # before the command could take it: nothing has been begun
        sys.exit(130)
