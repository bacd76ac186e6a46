"""Stage register: log parent and runs to MLflow, register the candidate's best model, promote it or say why not."""

from sensorproof.adapters.mlflow import connect
from sensorproof.artifacts import EVALUATION, SEARCH, SUMMARY
from sensorproof.console import report_errors
from sensorproof.documents import Evaluation, SearchResult, Summary
from sensorproof.locks import locked
from sensorproof.promotion.notification import notify
from sensorproof.registration import read_runs, register_results
from sensorproof.settings import load_settings


@report_errors
def main() -> None:
    """Write artifacts/summary.json."""
    settings = load_settings()
    evaluation = Evaluation.read(EVALUATION)
    runs = read_runs(evaluation)
    search = SearchResult.read(SEARCH / "trials.json")
    with locked("registry"), connect() as connection:
        decision = register_results(connection, evaluation, runs, settings, search)
    promotion = decision.to_record()
    Summary.combine(evaluation, promotion).write(SUMMARY)
    name = f"{promotion.model} version {promotion.version}"
    print({"promoted": f"promoted: {name} is champion"}.get(promotion.decision, f"{promotion.decision}: {name}"))
    if promotion.decision == "waiting" and settings.promotion.notify:
        print(notify(settings.promotion.notify, promotion) or f"told {settings.promotion.notify}")
    for reason in promotion.reasons:
        print(f"  {reason}")


if __name__ == "__main__":
    main()
