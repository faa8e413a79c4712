"""Networks: encoders, losses, samplers and one training loop; the only place that imports torch.

``nn.optimisers`` does not, so that a model can declare its optimiser where torch is not installed.
"""
