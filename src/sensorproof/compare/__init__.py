"""All arms on a data set, paired by seed, each tuned alike; on demand beside a specialist for every subset."""
