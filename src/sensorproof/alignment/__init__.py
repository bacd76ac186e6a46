"""Check that the sensors of a batch agree in time, geometry and image content.

The way through it: `measurement` reads every frame once (`frames`) and builds one flat table of measures, whose columns
`measures.columns` names. `decision` applies rules to that table. `sensorproof.validation` ties both together.
"""
