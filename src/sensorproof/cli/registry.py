"""`sensorproof registry`: show the versions, their history and lineage; promote, approve, refuse, roll back."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Annotated

import typer

from sensorproof.errors import UsageError
from sensorproof.settings import load_settings

if TYPE_CHECKING:
    from sensorproof.adapters.mlflow_registry import Registry
    from sensorproof.data.dataset import PreparedDataset

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


@app.command("history")
def show_history() -> None:
    """Show every change of the aliases, the oldest first."""
    with _open_registry() as registry:
        history = registry.read_history()
    for change in history.changes:
        moves = ", ".join(
            f"{alias} {change.before[alias] or 'none'} -> {n or 'none'}" for alias, n in change.after.items()
        )
        forced = ", against the gates" if change.forced else ""
        time = change.time[:19].replace("T", " ")
        print(f"{time}  {change.action:<9} {moves} ({change.by}{forced}): {change.reason}")
    if not history.changes:
        print("no alias has been set yet")
    if history.pending:
        print("the last change was interrupted; the next command that changes the registry finishes it")


_Version = Annotated[int | None, typer.Argument(help="number of the version, else the challenger")]
_Reason = Annotated[str, typer.Option(help="why; is written into the history")]
_DryRun = Annotated[bool, typer.Option("--dry-run", help="do everything but the change")]


@app.command()
def promote(
    version: _Version = None,
    force: Annotated[bool, typer.Option("--force", help="promote even if a gate fails")] = False,
    reason: _Reason = "",
    dry_run: _DryRun = False,
) -> None:
    """Make a version champion, if every gate passes as of now. Exit code 4: refused."""
    if force:
        _require(reason, "--force")
    from sensorproof.promotion import Request
    from sensorproof.promotion import promote as promote_version

    with _open_registry(change=True) as registry:
        request = Request(version, reason, force=force, dry_run=dry_run)
        decision = promote_version(registry, request, _open_data, load_settings())
        _log_lineage(registry, decision.version, dry_run)
    _say(decision.version, "is champion" + (", against its gates" if decision.forced else ""), dry_run)


@app.command()
def approve(version: _Version = None, reason: _Reason = "", dry_run: _DryRun = False) -> None:
    """Make a version that waits for approval champion, if every gate still passes. Exit code 4: refused."""
    _require(reason, "approve")
    from sensorproof.promotion import Request
    from sensorproof.promotion import approve as approve_version

    with _open_registry(change=True) as registry:
        decision = approve_version(registry, Request(version, reason, dry_run=dry_run), _open_data, load_settings())
        _log_lineage(registry, decision.version, dry_run)
    _say(decision.version, "is champion", dry_run)


@app.command()
def refuse(version: _Version = None, reason: _Reason = "", dry_run: _DryRun = False) -> None:
    """Refuse a version that waits for approval; it stays registered."""
    _require(reason, "refuse")
    from sensorproof.promotion import Request
    from sensorproof.promotion import refuse as refuse_version

    with _open_registry(change=True) as registry:
        refused = refuse_version(registry, Request(version, reason, dry_run=dry_run))
    _say(refused.number, "is refused", dry_run)


@app.command()
def rollback(reason: _Reason = "by hand", dry_run: _DryRun = False) -> None:
    """Make the previous champion champion again, and the present one `previous`."""
    from sensorproof.promotion import Request, roll_back

    with _open_registry(change=True) as registry:
        version = roll_back(registry, Request(reason=reason, dry_run=dry_run))
    _say(version.number, "is champion again", dry_run)


@app.command()
def lineage(
    version: Annotated[int | None, typer.Argument(help="number of the version, else the champion")] = None,
) -> None:
    """Show where a version comes from: code, settings, data, search, scores, gates, and who approved it."""
    from sensorproof.registration.lineage import describe_lineage, find_version

    with _open_registry() as registry:
        print(describe_lineage(registry, find_version(registry, version)))


def _log_lineage(registry: "Registry", number: int | None, dry_run: bool) -> None:
    """Bring the lineage that MLflow shows up to date."""
    from sensorproof.registration.lineage import log_lineage

    if number is not None and not dry_run:
        log_lineage(registry, number)


def _require(reason: str, what: str) -> None:
    """Refuse an empty reason."""
    if not reason.strip():
        raise UsageError(what, "needs a reason", "give one: --reason TEXT")


def _say(number: int | None, outcome: str, dry_run: bool) -> None:
    """Print what happened, or what would."""
    print(f"dry run, nothing was changed: version {number} {outcome}" if dry_run else f"version {number} {outcome}")


def _open_data() -> "PreparedDataset":
    """Open the data that models are scored on."""
    from sensorproof.artifacts import PREPARED, QUARANTINED
    from sensorproof.data.dataset import PreparedDataset

    return PreparedDataset(PREPARED, QUARANTINED)
