"""Stage report: write the page that a person reads, and its tables and pictures."""

from sensorproof.artifacts import (
    EVALUATION,
    PREPARED,
    QUARANTINED,
    REPORT,
    REPORT_FOLDER,
    SEARCH,
    VALIDATION,
    VERDICT,
    WORST_FRAMES,
    run_folder,
)
from sensorproof.console import report_errors
from sensorproof.data.dataset import PreparedDataset
from sensorproof.documents import Evaluation, SearchResult, ValidationRecord
from sensorproof.files import write_text
from sensorproof.reporting.checklist import Thresholds, pilot_checklist
from sensorproof.reporting.data_tables import make_tables
from sensorproof.reporting.folder import write_report_folder
from sensorproof.reporting.html_report import Options, render_report
from sensorproof.reporting.language import use_language
from sensorproof.settings import load_settings


@report_errors
def main() -> None:
    """Write artifacts/report.html and artifacts/report."""
    settings = load_settings()
    evaluation, verdict = Evaluation.read(EVALUATION), ValidationRecord.read(VERDICT)
    search = SearchResult.read(SEARCH / "trials.json")
    data = PreparedDataset(PREPARED, QUARANTINED)
    runs = {arm: {seed: run_folder(arm, seed) for seed in scores.seeds} for arm, scores in evaluation.arms.items()}
    limits = Thresholds(settings.report.pilot, settings.promotion, settings.validation)
    options = Options(
        limits,
        settings.evaluate.confidence,
        settings.report.examples,
        settings.train.device,
        settings.report.language,
    )
    sheets = {batch: VALIDATION / batch / WORST_FRAMES for batch in verdict.batches}
    page = render_report(evaluation, verdict, data, runs, options, sheets, search)
    with use_language(options.language):
        checklist = pilot_checklist(evaluation, verdict, data, limits)
    tables = make_tables(evaluation, verdict, checklist, settings.promotion)
    write_report_folder(REPORT_FOLDER, evaluation, tables, settings.promotion)
    write_text(REPORT, page)
    print(f"{REPORT}: {len(page) / 1e6:.1f} MB; tables and pictures in {REPORT_FOLDER}")


if __name__ == "__main__":
    main()
