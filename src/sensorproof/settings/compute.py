"""The section `compute`: who measures, prepares, trains and scores. It changes how long that takes, never a result."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt

from sensorproof.settings.strict_model import StrictModel


class ComputeSettings(StrictModel):
    """Processes of this machine, or an engine of many."""

    workers: NonNegativeInt
    """Processes that measure and prepare frames, and on the CPU score models; 0 for one on each processor."""
    processes: NonNegativeInt
    """Processes that train one model together, or share out the scoring, each on a GPU; 0 for one on each GPU."""
    readers: NonNegativeInt
    """Processes of each training that read its batches ahead; 0 reads them in the training itself."""
    engine: Literal["local", "dask"]
    """`local`: processes of the stage itself. `dask`: the flows hand the work to a Dask cluster first."""
    address: Annotated[str, Field(pattern=r"^(tcp|tls)://.+:\d+$")] | None
    """Of the Dask scheduler; None to start `workers` processes on this machine."""
