"""Is a sensor failing right now, though nobody says so? Learnt from training frames, used wherever a model predicts.

`fit.fit_monitor` is needed once, after a training; `monitor.Monitor` is what prediction needs.
"""
