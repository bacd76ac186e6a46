"""Stage report: the page that a person reads."""

from sensorproof.artifacts import EVALUATION, PREPARED, QUARANTINED, REPORT, VERDICT, run_folder
from sensorproof.cli.errors import reported
from sensorproof.data.loading import PreparedData
from sensorproof.files import read_json, write_text
from sensorproof.reporting.page import Options, render_report
from sensorproof.settings import load_settings


@reported
def main() -> None:
    settings = load_settings()
    evaluation = read_json(EVALUATION)
    arms = evaluation.get("arms") or {}
    runs = {arm: {seed: run_folder(arm, seed) for seed in scores.get("seeds") or []} for arm, scores in arms.items()}
    options = Options(settings.register_, settings.evaluate.confidence, settings.report.examples, settings.train.device)
    page = render_report(evaluation, read_json(VERDICT), PreparedData(PREPARED, QUARANTINED), runs, options)
    write_text(REPORT, page)
    print(f"{REPORT}: {len(page) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
