"""`sensorproof registry`: show the versions and their history, promote, roll back."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Annotated

import typer

from sensorproof.errors import UsageError

if TYPE_CHECKING:
    from sensorproof.adapters.mlflow_registry import Registry

app = typer.Typer(no_args_is_help=True, help="Versions of the model, their aliases, and the history of these.")


@contextmanager
def _open_registry(*, change: bool = False) -> Iterator["Registry"]:
    """Open the registry; to change it, hold the project's lock."""
    from sensorproof.adapters.mlflow import connect
    from sensorproof.adapters.mlflow_registry import Registry
    from sensorproof.locks import locked

    with locked("registry") if change else nullcontext(), connect(create=False) as connection:
        yield Registry(connection)


@app.command()
def status() -> None:
    """List the versions, the newest first: aliases, mean mIoU over all subsets of the sensors, why it was refused."""
    from sensorproof.adapters import mlflow_tags as tag

    with _open_registry() as registry:
        versions = registry.versions()
    if not versions:
        print("no version is registered yet: run `dvc repro`")
        return
    print(f"{'version':<9}{'alias':<12}{'arm':<21}{'seed':<6}{'mIoU':<7}{'decision':<10}{'registered (UTC)':<18}data")
    for version in versions:
        tags = version.tags
        decision = "forced" if tags.get(tag.FORCED) == "yes" else tags.get(tag.DECISION, "")
        print(
            f"{version.number:<9}{', '.join(version.aliases):<12}{version.arm:<21}{tags.get(tag.SEED, ''):<6}"
            f"{tags.get(tag.MIOU_MEAN, ''):<7}{decision:<10}{version.created:%Y-%m-%d %H:%M}  "
            f"{tags.get(tag.DATA_HASH, '')[:12]}"
        )
        for line in tags.get(tag.REASONS, tag.NO_REASON).splitlines():
            if line != tag.NO_REASON:
                print(f"         {line}")


@app.command()
def history() -> None:
    """Show every change of the aliases, the oldest first."""
    with _open_registry() as registry:
        changes = registry.history()
    for change in changes:
        moves = ", ".join(
            f"{alias} {change.before[alias] or 'none'} -> {n or 'none'}" for alias, n in change.after.items()
        )
        forced = ", against the gates" if change.forced else ""
        time = change.time[:19].replace("T", " ")
        print(f"{time}  {change.action:<9} {moves} ({change.by}{forced}): {change.reason}")
    if not changes:
        print("no alias has been set yet")


@app.command()
def promote(
    version: Annotated[int | None, typer.Argument(help="else the challenger")] = None,
    force: Annotated[bool, typer.Option("--force", help="promote even if a gate fails")] = False,
    reason: Annotated[str, typer.Option(help="why; is written into the history")] = "",
) -> None:
    """Make a version champion, if every gate passes as of now. Exit code 4: refused."""
    if force and not reason.strip():
        raise UsageError("--force", "needs a reason", "give one: --reason TEXT")
    from sensorproof.artifacts import PREPARED, QUARANTINED
    from sensorproof.data.dataset import PreparedDataset
    from sensorproof.promotion import promote as promote_version
    from sensorproof.settings import load_settings

    settings = load_settings()
    with _open_registry(change=True) as registry:
        decision = promote_version(
            registry, version, lambda: PreparedDataset(PREPARED, QUARANTINED), settings, reason=reason, force=force
        )
    print(f"version {decision.version} is champion" + (", against its gates" if decision.forced else ""))


@app.command()
def rollback(reason: Annotated[str, typer.Option(help="why; is written into the history")] = "by hand") -> None:
    """Make the previous champion champion again, and the present one `previous`."""
    from sensorproof.promotion import roll_back

    with _open_registry(change=True) as registry:
        version = roll_back(registry, reason)
    print(f"version {version.number} is champion again")
