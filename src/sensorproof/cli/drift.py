"""`sensorproof drift`: the history of the ingested batches, and whether to retrain."""

from sensorproof.settings import load_settings


def drift() -> None:
    """Show the drift of each ingested batch, the champion's confidence and alarms on it, and whether to retrain now.

    Batches that are not in the history yet are measured first. The page artifacts/field/index.html is drawn again.
    """
    from sensorproof.artifacts import FIELD
    from sensorproof.field.follow import describe, follow_field
    from sensorproof.field.history import read_history

    settings = load_settings()
    decision = follow_field(settings).decision
    for record in read_history(settings):
        print(f"{record.time[:16].replace('T', ' ')} {describe(record)}")
    print(decision.describe())
    print(f"history: {FIELD / 'index.html'}")
