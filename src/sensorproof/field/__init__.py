"""What the field sends over time: a record for each ingested batch, their history, and whether to retrain."""
