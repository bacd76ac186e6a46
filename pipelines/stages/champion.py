"""Stage champion: fetch the champion that the candidate is fine-tuned from, if params.yaml asks for that.

It runs when data or settings have changed, not when the champion has: each result comes from one champion.
"""

from sensorproof.artifacts import CHAMPION, CHAMPION_START, PREPARED, QUARANTINED
from sensorproof.console import report_errors
from sensorproof.documents.fine_tuning import RetrainingStart
from sensorproof.files import atomic_folder
from sensorproof.settings import Settings, load_settings


@report_errors
def main() -> None:
    """Write artifacts/champion."""
    settings = load_settings()
    if settings.retraining.mode == "fine_tune":
        fetch(settings)
        return
    with atomic_folder(CHAMPION) as folder:
        RetrainingStart().write(folder / CHAMPION_START.name)
    print("every arm is trained from scratch (retraining.mode)")


def fetch(settings: Settings) -> None:
    """Fetch the champion's model folder, whose hash is checked."""
    from sensorproof.data.dataset import PreparedDataset
    from sensorproof.promotion.fine_tuning import fetch_champion

    data = PreparedDataset(PREPARED, QUARANTINED)
    with atomic_folder(CHAMPION) as folder:
        start = fetch_champion(folder / "model", data, settings)
        RetrainingStart(champion=start, fine_tune=settings.retraining.fine_tune).write(folder / CHAMPION_START.name)
    print(f"{settings.promotion.candidate} is fine-tuned from champion version {start.version}; all else is skipped")


if __name__ == "__main__":
    main()
