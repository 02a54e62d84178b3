"""One file per workload: inputs, the objective as a user would write it for adc, and the peers."""
