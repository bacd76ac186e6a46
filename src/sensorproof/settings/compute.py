"""The section `compute`: who measures, prepares and trains. It changes how long that takes, never a result."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt

from sensorproof.settings.strict_model import StrictModel


class ComputeSettings(StrictModel):
    """Processes of this machine, or an engine of many."""

    workers: NonNegativeInt
    """Processes that measure and prepare frames; 0 for one on each processor."""
    processes: NonNegativeInt
    """Processes that train one model together, each on a GPU of its own; 0 for one on each GPU of this machine."""
    readers: NonNegativeInt
    """Processes of each training that read its batches ahead; 0 reads them in the training itself."""
    engine: Literal["local", "dask"]
    """`local`: processes of the stage itself. `dask`: the flows hand the work to a Dask cluster first."""
    address: Annotated[str, Field(pattern=r"^(tcp|tls)://.+:\d+$")] | None
    """Of the Dask scheduler; None to start `workers` processes on this machine."""
