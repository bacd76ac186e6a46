"""`sensorproof configure`: merge an override into params.yaml, keeping its comments and order."""

import io
from pathlib import Path
from typing import Annotated, Any

import typer
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from sensorproof.errors import SettingsError
from sensorproof.files import parse_yaml, write_text
from sensorproof.settings import parse_settings


def configure(
    override: Annotated[Path, typer.Argument(help="YAML file with the keys that differ")],
    params: Annotated[Path, typer.Option(help="the file to change")] = Path("params.yaml"),
) -> None:
    """Merge OVERRIDE into params.yaml; nothing is written unless the result is valid."""
    yaml = YAML()
    yaml.width = 120
    yaml.indent(mapping=2, sequence=4, offset=2)
    # Else null would be written as nothing at all.
    yaml.representer.add_representer(type(None), lambda r, _: r.represent_scalar("tag:yaml.org,2002:null", "null"))
    document, changes = read(yaml, params), read(yaml, override)
    merge(document, changes)
    text = io.StringIO()
    yaml.dump(document, text)
    # Read back as every stage will read it, not as the library of the round trip understands it.
    parse_settings(parse_yaml(text.getvalue()), f"{params} with {override}")
    write_text(params, text.getvalue())


def read(yaml: YAML, path: Path) -> Any:
    """A YAML mapping, or SettingsError."""
    try:
        document = yaml.load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, YAMLError, RecursionError) as error:
        raise SettingsError(path, f"cannot be read ({error})", "give a YAML file") from error
    if not isinstance(document, dict):
        raise SettingsError(path, "is not a mapping", "write `key: value` lines as in params.yaml")
    return document


def merge(document: Any, changes: Any) -> None:
    """Put the leaves of changes into document; mappings are merged, all else replaced."""
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(document.get(key), dict):
            merge(document[key], value)
        else:
            document[key] = value
