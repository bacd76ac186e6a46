"""All arms on a data set, paired by seed, each tuned alike; on demand beside a specialist for every subset."""

from sensorproof.compare.dataset import ARMS, compare_dataset, prepare_dataset, specify, tune
from sensorproof.compare.jobs import Report, result_file, train_and_test
from sensorproof.compare.specialists import SPECIALISTS

__all__ = [
    "ARMS",
    "SPECIALISTS",
    "Report",
    "compare_dataset",
    "prepare_dataset",
    "result_file",
    "specify",
    "train_and_test",
    "tune",
]
