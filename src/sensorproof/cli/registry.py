"""`sensorproof registry`: who is champion, how that came about, and to change it."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Annotated

import typer

from sensorproof.errors import UsageError

if TYPE_CHECKING:
    from sensorproof.adapters.mlflow_registry import Registry

app = typer.Typer(no_args_is_help=True, help="Versions of the model, their aliases, and what became of them.")


@contextmanager
def opened(*, change: bool = False) -> Iterator["Registry"]:
    """The registry; for a change, no other process of this project has it meanwhile."""
    from sensorproof.adapters.mlflow import connect
    from sensorproof.adapters.mlflow_registry import Registry
    from sensorproof.locks import locked

    with locked("registry") if change else nullcontext(), connect(create=False) as connection:
        yield Registry(connection)


@app.command()
def status() -> None:
    """List the versions, the newest first: aliases, mean mIoU over all subsets of the sensors, why it was refused."""
    with opened() as registry:
        versions = registry.versions()
    if not versions:
        print("no version is registered yet: run `dvc repro`")
        return
    print(f"{'version':<9}{'alias':<12}{'arm':<21}{'seed':<6}{'mIoU':<7}{'decision':<10}{'registered (UTC)':<18}data")
    for version in versions:
        tags = version.tags
        decision = "forced" if tags.get("forced") == "yes" else tags.get("decision", "")
        print(
            f"{version.number:<9}{', '.join(version.aliases):<12}{tags.get('arm', ''):<21}{tags.get('seed', ''):<6}"
            f"{tags.get('miou.mean', ''):<7}{decision:<10}{version.created:%Y-%m-%d %H:%M}  "
            f"{tags.get('data.hash', '')[:12]}"
        )
        for line in tags.get("reasons", "none").splitlines():
            if line != "none":
                print(f"         {line}")


@app.command()
def history() -> None:
    """Show every change of the aliases, the oldest first."""
    with opened() as registry:
        changes = registry.history()
    for change in changes:
        moves = ", ".join(f"{alias} {show(change.before[alias])} -> {show(n)}" for alias, n in change.after.items())
        forced = ", against the gates" if change.forced else ""
        print(
            f"{change.time[:19].replace('T', ' ')}  {change.action:<9} {moves} ({change.by}{forced}): {change.reason}"
        )
    if not changes:
        print("no alias has been set yet")


def show(version: int | None) -> str:
    return "none" if version is None else str(version)


@app.command()
def promote(
    version: Annotated[int | None, typer.Argument(help="else the challenger")] = None,
    force: Annotated[bool, typer.Option("--force", help="promote even if a gate fails")] = False,
    reason: Annotated[str, typer.Option(help="why; goes into the history")] = "",
) -> None:
    """Make a version champion, if every gate passes as of now. Exit code 4: refused."""
    if force and not reason.strip():
        raise UsageError("--force", "has no reason", "say why: --reason TEXT")
    from sensorproof.artifacts import PREPARED, QUARANTINED
    from sensorproof.data.dataset import PreparedDataset
    from sensorproof.promotion import promote as promote_version
    from sensorproof.settings import load_settings

    settings = load_settings()
    with opened(change=True) as registry:
        decision = promote_version(
            registry, version, lambda: PreparedDataset(PREPARED, QUARANTINED), settings, reason=reason, force=force
        )
    print(f"version {decision.version} is champion" + (", against its gates" if decision.forced else ""))


@app.command()
def rollback(reason: Annotated[str, typer.Option(help="why; goes into the history")] = "by hand") -> None:
    """Make the previous champion champion again, and the present one `previous`."""
    from sensorproof.promotion import roll_back

    with opened(change=True) as registry:
        version = roll_back(registry, reason)
    print(f"version {version.number} is champion again")
