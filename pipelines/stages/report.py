"""Stage report: write the page that a person reads."""

from sensorproof.artifacts import EVALUATION, PREPARED, QUARANTINED, REPORT, VERDICT, run_folder
from sensorproof.console import report_errors
from sensorproof.data.dataset import PreparedDataset
from sensorproof.documents import Evaluation, ValidationRecord
from sensorproof.files import write_text
from sensorproof.reporting.html_report import Options, render_report
from sensorproof.settings import load_settings


@report_errors
def main() -> None:
    """Run the stage."""
    settings = load_settings()
    evaluation, verdict = Evaluation.read(EVALUATION), ValidationRecord.read(VERDICT)
    runs = {arm: {seed: run_folder(arm, seed) for seed in scores.seeds} for arm, scores in evaluation.arms.items()}
    options = Options(settings.promotion, settings.evaluate.confidence, settings.report.examples, settings.train.device)
    page = render_report(evaluation, verdict, PreparedDataset(PREPARED, QUARANTINED), runs, options)
    write_text(REPORT, page)
    print(f"{REPORT}: {len(page) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
