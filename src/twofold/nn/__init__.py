"""Networks: encoders, losses, samplers and one training loop; the only place that imports torch.

``nn.optimisers`` does not, so that a model can declare its optimiser where torch is not installed.
"""

import os

# MKL reads this once, when it multiplies first: a product then has the same bytes for every number of threads.
os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")
