"""MLflow's registry: the versions of the packaged model, their aliases, and every change of these."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sensorproof.adapters import mlflow_tags as tag
from sensorproof.adapters.mlflow import Connection
from sensorproof.adapters.mlflow_history import AliasChange, History, completed, new_entry, read_history
from sensorproof.adapters.mlflow_lock import registry_lock
from sensorproof.errors import RejectedError, SensorproofError, UsageError
from sensorproof.serving.package import check_hash
from sensorproof.settings.renamed import ARMS

MODEL = tag.MODEL
CHAMPION, CHALLENGER, PREVIOUS = tag.CHAMPION, "challenger", "previous"
FOLDER = "artifacts/model"
"""The model folder within the packaged model."""
_ALIASES = (CHAMPION, CHALLENGER, PREVIOUS)
_URI = re.compile(r"models:/(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<version>\d+))")


@dataclass(frozen=True)
class Version:
    """One registered version. `created` is UTC."""

    number: int
    run_id: str
    created: datetime
    tags: dict[str, str]
    aliases: tuple[str, ...] = ()

    @property
    def arm(self) -> str:
        """The arm that trained it, by its present name; empty for a version without the tag."""
        arm = self.tags.get(tag.ARM, "")
        return ARMS.get(arm, arm)


class Registry:
    """The versions of one registered model.

    Args:
        connection: see `mlflow.connect`.
        name: of the registered model.
    """

    def __init__(self, connection: Connection, name: str = MODEL) -> None:
        self.client, self.connection, self.name = connection.client, connection, name
        self._check_lock: Callable[[], None] | None = None

    def aliases(self) -> dict[str, int]:
        """Return {alias: version}; empty where nothing is registered yet."""
        model = self._model()
        return {} if model is None else {alias: int(version) for alias, version in sorted(model.aliases.items())}

    def versions(self) -> list[Version]:
        """List all versions, the newest first."""
        rows = self.client.search_model_versions(f"name = '{self.name}'", max_results=10_000)
        aliases = self.aliases()
        return sorted((_to_version(row, aliases) for row in rows), key=lambda version: -version.number)

    def version(self, number: int) -> Version:
        """Return the version of a number.

        Raises:
            UsageError: there is none.
        """
        rows = self.client.search_model_versions(f"name = '{self.name}' and version_number = {number}")
        if not rows:
            fix = "see `sensorproof registry status`"
            raise UsageError(f"version {number}", f"of {self.name} does not exist", fix)
        return _to_version(rows[0], self.aliases())

    def with_alias(self, alias: str) -> Version | None:
        """Return the version that has an alias, or None."""
        number = self.aliases().get(alias)
        return None if number is None else self.version(number)

    def find(self, model_hash: str) -> Version | None:
        """Return the first version with this very model, or None."""
        rows = self.client.search_model_versions(f"name = '{self.name}' and tags.`{tag.MODEL_HASH}` = '{model_hash}'")
        numbers = sorted(int(row.version) for row in rows)
        return self.version(numbers[0]) if numbers else None

    def add(self, model_uri: str, model_id: str, run_id: str, tags: Mapping[str, str]) -> Version:
        """Register a logged model as a new version."""
        from mlflow.exceptions import MlflowException

        if self._model() is None:
            try:
                self.client.create_registered_model(self.name, description="Segmentation with missing sensors.")
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
        row = self.client.create_model_version(self.name, model_uri, run_id=run_id, tags=dict(tags), model_id=model_id)
        return _to_version(row, {})

    def annotate(self, version: Version, tags: Mapping[str, str], description: str) -> None:
        """Write tags and a description on a version."""
        for name, value in tags.items() - version.tags.items():
            self.client.set_model_version_tag(self.name, str(version.number), name, value)
        self.client.update_model_version(self.name, str(version.number), description)

    def fetch(self, version: Version, into: Path) -> Path:
        """Copy a version's model folder into `into`, hash its files again, and return the folder.

        Raises:
            SensorproofError: the files cannot be downloaded.
            RejectedError: the files are not those that were registered.
        """
        from mlflow.artifacts import download_artifacts
        from mlflow.exceptions import MlflowException

        uri = f"models:/{self.name}/{version.number}/{FOLDER}"
        try:
            folder = Path(download_artifacts(uri, dst_path=str(into), tracking_uri=self.connection.uri))
        except (MlflowException, OSError) as error:
            line = next(iter(str(error).splitlines()), "no reason given")
            raise SensorproofError(uri, f"cannot be fetched ({line})", "check the server's artifact store") from error
        try:
            check_hash(folder, str(version.tags.get(tag.MODEL_HASH)))
        except RejectedError as error:
            raise RejectedError(f"{self.name} version {version.number}", error.fault, error.fix) from error
        return folder

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the registry's lock against every other process and machine; finish first what a killed one began.

        Raises:
            RejectedError: somebody has changed the history.
            SensorproofError: the lock cannot be had.
        """
        with registry_lock(self.client, self.name) as check:
            self._check_lock = check
            try:
                self._recover()
                yield
            finally:
                self._check_lock = None

    def set_aliases(
        self, changes: Mapping[str, int | None], *, action: str, reason: str, forced: bool = False
    ) -> AliasChange | None:
        """Set aliases ({alias: version}) or remove them ({alias: None}), in this order, and read them back.

        The change is written down first, and marked as completed at the end. The caller holds the lock.

        Returns:
            The change, or None where the aliases are already so.

        Raises:
            SensorproofError: the aliases are not as they were set, since somebody else has set them meanwhile.
        """
        current = self.aliases()
        before = {alias: current.get(alias) for alias, number in changes.items() if current.get(alias) != number}
        if not before:
            return None
        after = {alias: changes[alias] for alias in before}
        return self._record(before, after, action=action, reason=reason, forced=forced)

    def _record(self, before: Mapping[str, int | None], after: Mapping[str, int | None], **facts: Any) -> AliasChange:
        """Write an entry of the history, make its change, and mark it as completed."""
        if self._check_lock is None:
            raise RuntimeError("aliases are changed within `locked` only")
        history = self.read_history()
        key, text, history = new_entry(history, before, after, **facts)
        self._check_lock()
        self.client.set_registered_model_tag(self.name, key, text)
        self._apply(history)
        return history.changes[-1]

    def _apply(self, history: History) -> None:
        """Make the last change of a history, read the aliases back, and mark it as completed."""
        for alias, number in history.changes[-1].after.items():
            if number is None:
                self.client.delete_registered_model_alias(self.name, alias)
            else:
                self.client.set_registered_model_alias(self.name, alias, str(number))
        current = self.aliases()
        if any(current.get(alias) != number for alias, number in history.changes[-1].after.items()):
            fix = "see `sensorproof registry status`, and run the command again"
            raise SensorproofError(f"aliases of {self.name}", "were changed by somebody else meanwhile", fix)
        self.client.set_registered_model_tag(self.name, *completed(history))

    def _recover(self) -> None:
        """Finish a change that was interrupted, and write down what was changed in MLflow itself."""
        history = self.read_history()
        if history.pending:
            history = self._finish(history)
        recorded, current = history.aliases(), self.aliases()
        moved = {alias: current.get(alias) for alias in _ALIASES if recorded.get(alias) != current.get(alias)}
        if moved and history.changes:
            before = {alias: recorded.get(alias) for alias in moved}
            self._record(before, moved, action="outside", reason="changed in MLflow itself", by="unknown")

    def _finish(self, history: History) -> History:
        """Finish the last change if its versions are still there and nobody has moved its aliases; else let it be.

        Where it is let be, the next entry records how the aliases are.
        """
        change, current = history.changes[-1], self.aliases()
        numbers = {version.number for version in self.versions()}
        possible = all(number is None or number in numbers for number in change.after.values())
        ours = all(current.get(alias) in (change.before[alias], number) for alias, number in change.after.items())
        if possible and ours:
            self._apply(history)
        else:
            self.client.set_registered_model_tag(self.name, *completed(history))
        return self.read_history()

    def set_champion(self, version: Version, *, action: str, reason: str, forced: bool = False) -> AliasChange | None:
        """Make a version champion, and the champion before it `previous`."""
        aliases = self.aliases()
        changes: dict[str, int | None] = {CHAMPION: version.number}
        if aliases.get(CHAMPION) not in (None, version.number):
            changes = {PREVIOUS: aliases[CHAMPION], **changes}
        if aliases.get(CHALLENGER) == version.number:
            changes[CHALLENGER] = None
        return self.set_aliases(changes, action=action, reason=reason, forced=forced)

    def history(self) -> list[AliasChange]:
        """List every change of the aliases, the oldest first.

        Raises:
            RejectedError: somebody has changed the history.
        """
        return list(self.read_history().changes)

    def read_history(self) -> History:
        """Read and verify the history; see `mlflow_history.read_history`."""
        model = self._model()
        return read_history({} if model is None else model.tags, self.name)

    def _model(self) -> Any:
        """Return MLflow's registered model, or None where nothing is registered yet."""
        from mlflow.exceptions import MlflowException

        try:
            return self.client.get_registered_model(self.name)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise


def _to_version(row: Any, aliases: Mapping[str, int]) -> Version:
    """Convert MLflow's version to plain data; a search leaves its aliases empty, hence the mapping."""
    number = int(row.version)
    created = datetime.fromtimestamp(row.creation_timestamp / 1000, UTC)
    own = tuple(alias for alias, n in aliases.items() if n == number)
    return Version(number, row.run_id or "", created, dict(row.tags), own)


@dataclass(frozen=True)
class ModelUri:
    """A version by its name and either its alias or its number."""

    name: str
    alias: str | None
    number: int | None

    @classmethod
    def parse(cls, uri: str) -> "ModelUri":
        """Read `models:/NAME@ALIAS` or `models:/NAME/VERSION`.

        Raises:
            UsageError: it has another form.
        """
        match = _URI.fullmatch(uri)
        if match is None:
            fix = f"write models:/{MODEL}@{CHAMPION} or models:/{MODEL}/1"
            raise UsageError(uri, "is not the address of a model", fix)
        return cls(match["name"], match["alias"], int(match["version"]) if match["version"] else None)

    def fetch(self, connection: Connection, into: Path) -> Path:
        """Copy the model folder into `into`; see Registry.fetch.

        Raises:
            UsageError: there is no such version.
        """
        registry = Registry(connection, self.name)
        version = registry.with_alias(self.alias or "") if self.number is None else registry.version(self.number)
        if version is None:
            fix = "see `sensorproof registry status`"
            raise UsageError(f"models:/{self.name}@{self.alias}", "does not exist", fix)
        return registry.fetch(version, into)
