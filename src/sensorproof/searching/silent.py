"""Try a trained model with silent failures on validation frames, for the limits that promotion sets them."""

from sensorproof.documents.search import ValidationScores
from sensorproof.evaluation.failures import FAILURES
from sensorproof.evaluation.frame_source import PreparedFrames
from sensorproof.evaluation.silent import score_silent_failures
from sensorproof.models import Segmenter
from sensorproof.monitoring.fit import fit_monitor
from sensorproof.searching.data import SearchData
from sensorproof.settings import MonitoringSettings


def add_silent_failures(
    scores: ValidationScores, model: Segmenter, data: SearchData, settings: MonitoringSettings
) -> ValidationScores:
    """Fit a monitor and return the scores with those of silent failures.

    The monitor learns from validation frames too, so there are fewer false alarms on them than on new frames.

    Args:
        scores: of the model on the same fold.
        model: trained on the fold; it is left in evaluation mode.
        data: the fold.
        settings: of the monitor.
    """
    monitor = fit_monitor(model, data, settings)
    silent = score_silent_failures(model, monitor, PreparedFrames.of_split(data, "val"), FAILURES)
    counted = silent.false_alarms
    share = counted.alarms / counted.images if counted.images else 0.0
    return scores.model_copy(update={"silent": silent.mean, "false_alarms": share})
