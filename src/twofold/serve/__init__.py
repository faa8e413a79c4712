"""A trained model behind HTTP, in one process: ``twofold serve DIR``.

`twofold.serve.app.create_app` makes the application of an opened `twofold.serve.live.Live`; nothing
here names a model: whatever keeps the contract of `twofold.models` is served.
"""
