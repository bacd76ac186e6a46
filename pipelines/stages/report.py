"""Stage report: the page that a person reads."""

from sensorproof.artifacts import EVALUATION, PREPARED, QUARANTINED, REPORT, VERDICT, run_folder
from sensorproof.cli.errors import report_errors
from sensorproof.data.dataset import PreparedDataset
from sensorproof.files import read_json, write_text
from sensorproof.reporting.html_report import Options, render_report
from sensorproof.settings import load_settings


@report_errors
def main() -> None:
    settings = load_settings()
    evaluation = read_json(EVALUATION)
    arms = evaluation.get("arms") or {}
    runs = {arm: {seed: run_folder(arm, seed) for seed in scores.get("seeds") or []} for arm, scores in arms.items()}
    options = Options(settings.promotion, settings.evaluate.confidence, settings.report.examples, settings.train.device)
    page = render_report(evaluation, read_json(VERDICT), PreparedDataset(PREPARED, QUARANTINED), runs, options)
    write_text(REPORT, page)
    print(f"{REPORT}: {len(page) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
