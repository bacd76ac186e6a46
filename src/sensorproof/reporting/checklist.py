"""The pilot checklist: what a run can say before a small field test, item by item, and what people have to decide."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from sensorproof.data.dataset import PreparedDataset
from sensorproof.documents import Evaluation, ValidationRecord
from sensorproof.documents import promotion as names
from sensorproof.documents.evaluation import BASELINE
from sensorproof.evaluation.gates import evaluate_gates
from sensorproof.reporting.calibration_rows import worst_calibration
from sensorproof.reporting.formatting import join, points, sensors_of, share
from sensorproof.reporting.gate_lines import gate_line
from sensorproof.reporting.language import _, mark
from sensorproof.reporting.silent_table import failure_title
from sensorproof.settings import PilotSettings, PromotionSettings, ValidationSettings

State = Literal["go", "no_go", "open"]
STATE_TITLES: Final = {"go": mark("go"), "no_go": mark("no-go"), "open": mark("open")}
_NAMED: Final = 4
"""So many sensors, conditions or classes are named in a line."""


@dataclass(frozen=True)
class Thresholds:
    """The sections of params.yaml that the checklist reads."""

    pilot: PilotSettings
    promotion: PromotionSettings
    validation: ValidationSettings


@dataclass(frozen=True)
class Item:
    """One line of the checklist, in the page's language.

    `open` means that the run could not check it. `action` says what to do or to decide where the state is not `go`.
    """

    key: str
    state: State
    title: str
    found: str
    wanted: str
    action: str

    @property
    def state_title(self) -> str:
        """The state for people."""
        return _(STATE_TITLES[self.state])


@dataclass(frozen=True)
class Section:
    """The lines on one subject."""

    title: str
    items: list[Item]


def pilot_checklist(
    evaluation: Evaluation, verdict: ValidationRecord, data: PreparedDataset, limits: Thresholds
) -> list[Section]:
    """Fill in the checklist from what the run wrote.

    Args:
        evaluation: artifacts/evaluation.json.
        verdict: artifacts/validation/verdict.json.
        data: prepared frames without those in quarantine.
        limits: the thresholds.
    """
    return [
        Section(_("Data"), [*_frames(data, limits), *_validation(verdict, limits), _version(evaluation)]),
        Section(_("Evidence"), [_seeds(evaluation, limits), *_gates(evaluation, limits)]),
        Section(_("Failing sensors"), [*_failures(evaluation, limits), _calibration(evaluation, limits)]),
        Section(_("In the field: a run cannot check these"), list(_decisions())),
    ]


def conclusion(sections: list[Section]) -> str:
    """Count the states in a sentence."""
    states: list[str] = [item.state for section in sections for item in section.items]
    counts = {state: states.count(state) for state in STATE_TITLES}
    if counts["no_go"]:
        text = mark("No-go: %(no_go)s of %(all)s items speak against a field test; %(open)s are open.")
    elif counts["open"]:
        text = mark(
            "Nothing that was checked speaks against a field test: %(go)s of %(all)s items are go, %(open)s are open."
        )
    else:
        text = mark("Go: all %(all)s items are fulfilled.")
    return _(text, all=len(states), **counts)


def _item(key: str, passed: bool | None, title: str, found: str, wanted: str, action: str) -> Item:
    """Build an item; a `passed` of None was not measured."""
    state: State = "open" if passed is None else "go" if passed else "no_go"
    return Item(key, state, title, found, wanted, "" if passed else action)


def _frames(data: PreparedDataset, limits: Thresholds) -> Iterator[Item]:
    """Yield whether the test split is large and various enough."""
    pilot, fewest = limits.pilot, limits.promotion.min_group_frames
    test, training = data.frames.loc[data.rows("test")], data.frames.loc[data.rows("train")]
    yield _item(
        "test_frames",
        len(test) >= pilot.min_test_frames,
        _("Labelled test frames"),
        str(len(test)),
        _("at least %(limit)s", limit=pilot.min_test_frames),
        _("Label more frames; intervals shrink with their number."),
    )
    sites = set(test.site) - set(training.site)
    yield _item(
        "test_sites",
        len(sites) >= pilot.min_test_sites,
        _("Test sites without a training frame"),
        str(len(sites)),
        _("at least %(limit)s", limit=pilot.min_test_sites),
        _("Record other places: one place says nothing about the next."),
    )
    counts = test.condition.astype(str).value_counts()
    rare = sorted(
        str(name) for name in {*counts.index, *training.condition.astype(str)} if counts.get(name, 0) < fewest
    )
    yield _item(
        "conditions",
        not rare,
        _("Conditions with enough test frames"),
        _("too few: %(names)s", names=_some(rare)) if rare else _("all %(count)s", count=len(counts)),
        _("%(limit)s frames of each", limit=fewest),
        _("Record these conditions, or leave them out of the field test."),
    )


def _validation(verdict: ValidationRecord, limits: Thresholds) -> Iterator[Item]:
    """Yield what validation found."""
    most, frames = limits.validation.max_quarantined, verdict.frames
    part = frames.quarantined / frames.total if frames.total else 0.0
    yield _item(
        "quarantine",
        part <= most,
        _("Frames in quarantine"),
        _("%(count)s of %(frames)s (%(share)s)", count=frames.quarantined, frames=frames.total, share=share(part)),
        _("at most %(limit)s", limit=share(most)),
        _("Look at the contact sheet and fix the cause."),
    )
    pairs = [(name, pair.state) for batch in verdict.batches.values() for name, pair in batch.pairs.items()]
    states = {state: sorted({name for name, own in pairs if own == state}) for state in ("misaligned", "unmeasurable")}
    off, unknown = states["misaligned"], states["unmeasurable"]
    text = [
        *([_("misaligned: %(names)s", names=_some(off))] if off else []),
        *([_("unmeasurable: %(names)s", names=_some(unknown))] if unknown else []),
    ]
    yield _item(
        "alignment",
        False if off else None if unknown or not pairs else True,
        _("Sensors aligned with the reference"),
        "; ".join(text) or (_("all") if pairs else _("not measured")),
        _("all"),
        _("Calibrate again; where a pair cannot be measured, check its times and calibration by hand."),
    )
    drifts = [batch.drift for batch in verdict.batches.values() if batch.drift is not None]
    areas = [drift.auc for drift in drifts if drift.auc is not None]
    yield _item(
        "drift",
        None if not areas else not any(drift.drifted for drift in drifts),
        _("New batches look like the training data"),
        _("AUC %(area)s", area=f"{max(areas):.2f}") if areas else _("not measured: no batch came after the first"),
        _("no drift; AUC at most %(limit)s", limit=f"{limits.validation.drift.auc:g}"),
        _("Ingest a first batch from the field and read its drift before the test."),
    )


def _version(evaluation: Evaluation) -> Item:
    known = bool(evaluation.git_commit and evaluation.data.hash)
    return _item(
        "versions",
        known,
        _("Code and data can be brought back"),
        _("commit and data hash recorded") if known else _("no commit or no data hash"),
        _("both"),
        _("Commit, and version the data with DVC."),
    )


def _seeds(evaluation: Evaluation, limits: Thresholds) -> Item:
    fewest = min((len(arm.seeds) for arm in evaluation.arms.values()), default=0)
    return _item(
        "seeds",
        fewest >= limits.pilot.min_seeds,
        _("Trainings of each arm"),
        str(fewest),
        _("at least %(limit)s", limit=limits.pilot.min_seeds),
        _("Train with more seeds: the luck of one training can look like a gain."),
    )


def _gates(evaluation: Evaluation, limits: Thresholds) -> Iterator[Item]:
    """Yield the gates that need no registry, but for those on silent failures."""
    candidate = limits.promotion.candidate
    if candidate == BASELINE or not {candidate, BASELINE} <= set(evaluation.arms):
        yield Item("gates", "open", _("Gates of promotion"), _("not measured"), _("all passed"), _("Train both arms."))
        return
    for gate in evaluate_gates(evaluation, limits.promotion, None):
        if gate.name in names.OF_SILENT_FAILURES:
            continue
        line = gate_line(gate)
        found = f"{line.value} ({line.note})" if line.note else line.value
        passed = None if gate.value is None else gate.passed
        yield _item(gate.name, passed, line.title, found, line.demand, _("Read the gate’s figures before going on."))


def _failures(evaluation: Evaluation, limits: Thresholds) -> Iterator[Item]:
    """Yield what happens when a sensor fails."""
    arm, most = evaluation.arms.get(limits.promotion.candidate), limits.pilot.max_shortfall
    silent = None if arm is None else arm.silent
    title, wanted = _("Silent failures with the monitor"), _("at most %(limit)s points short", limit=f"{most:g}")
    action = _("Switch these sensors off by hand when in doubt, or record such failures and look at the monitor.")
    if silent is None:
        yield _item("silent", None, title, _("not measured"), wanted, action)
    else:
        short = [
            f"{name} {failure_title(kind)} ({points(sensor.shortfall(kind))})"
            for name, sensor in silent.sensors.items()
            for kind in sensor.failures
            if sensor.shortfall(kind) > most
        ]
        cases = sum(len(sensor.failures) for sensor in silent.sensors.values())
        found = _("%(count)s of %(cases)s are short: %(names)s", count=len(short), cases=cases, names=_some(short))
        yield _item("silent", not short, title, found if short else _("all %(count)s", count=cases), wanted, action)
        alarms = silent.false_alarms
        part = alarms.alarms / alarms.images if alarms.images else 0.0
        yield _item(
            "false_alarms",
            part <= limits.promotion.max_false_alarms if alarms.images else None,
            _("Sound images that the monitor leaves out"),
            _("%(count)s of %(frames)s", count=alarms.alarms, frames=alarms.images),
            _("at most %(limit)s", limit=share(limits.promotion.max_false_alarms)),
            _("Lower monitoring.false_alarms, or add such frames to the training data."),
        )


def _calibration(evaluation: Evaluation, limits: Thresholds) -> Item:
    """Return whether confidence can be trusted with any single sensor missing."""
    arm, most = evaluation.arms.get(limits.promotion.candidate), limits.pilot.max_calibration_error
    worst = None if arm is None else worst_calibration(arm, sensors_of(evaluation.arms))
    return _item(
        "calibration",
        None if worst is None else worst[1] <= most,
        _("Calibration error with one sensor missing"),
        _("not measured") if worst is None else _("%(error)s (%(subset)s)", error=share(worst[1]), subset=worst[0]),
        _("at most %(limit)s", limit=share(most)),
        _("Do not act on the confidence while a sensor is missing, or calibrate it on validation data."),
    )


def _decisions() -> Iterator[Item]:
    """Yield what people have to decide or to try."""
    for key, title, wanted in (
        ("latency", mark("Time for one frame on the device"), mark("measured there, with `sensorproof bench serving`")),
        ("failures", mark("Which sensor fails how often"), mark("estimated, for the expected score")),
        ("alarms", mark("Who is told when the monitor leaves a sensor out"), mark("named")),
        ("rollback", mark("Way back to the previous model"), mark("tried once: `sensorproof registry rollback`")),
        ("phases", mark("First site, duration and criterion to stop"), mark("agreed on")),
    ):
        yield Item(key, "open", _(title), "", _(wanted), _("To be decided by people."))


def _some(names_: list[str]) -> str:
    """Join the first names, and say how many more there are."""
    rest = len(names_) - _NAMED
    return join(names_[:_NAMED]) + (" " + _("and %(count)s more", count=rest) if rest > 0 else "")
