"""AdamW without the import of torch.compile's compiler, which takes about as long as that of torch itself."""

from inspect import unwrap

import torch
from torch.optim import AdamW


class EagerAdamW(AdamW):
    """AdamW for a loop that is not compiled: the same arithmetic, to the bit.

    torch wraps these methods, so that `torch.compile` leaves them alone. The wrappers import torch._dynamo, though
    there is nothing to leave alone where it was never imported.
    """

    add_param_group = unwrap(AdamW.add_param_group)
    zero_grad = unwrap(AdamW.zero_grad)
    state_dict = unwrap(AdamW.state_dict)
    load_state_dict = unwrap(AdamW.load_state_dict)
    step = torch.no_grad()(unwrap(AdamW.step))
