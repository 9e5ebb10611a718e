"""``skillpm-registry``: the command of whoever operates a registry."""

from __future__ import annotations

from pathlib import Path

import click

from skillpm_registry import __version__


@click.group(context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "SKILLPM_REGISTRY"})
@click.version_option(__version__, "-V", "--version", prog_name="skillpm-registry", message="%(prog)s %(version)s")
def main() -> None:
    """Operate a shared registry of skills."""


@main.command("serve", epilog="Example: skillpm-registry serve --data /srv/skills")
@click.option("--data", type=click.Path(path_type=Path), required=True, help="The registry's folder; made if missing.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=8700, show_default=True, help="The port to listen on.")
def serve(data: Path, host: str, port: int) -> None:
    """Serve a registry's folder, and let people publish to it."""
    import uvicorn

    from skillpm.index.folder_registry import make_registry
    from skillpm_registry.app import create_app
    from skillpm_registry.configuration import Configuration

    name = data.resolve().name
    make_registry(data, name)
    configuration = Configuration(data=data, name=name, url=f"http://{host}:{port}")
    uvicorn.run(create_app(configuration), host=host, port=port, log_level="warning")
