"""Verify, then time: tinygrad_cnn beside PyTorch in one process.

    python -m benchmarks                      # all but the slow workloads, at 1 and 2 threads
    python -m benchmarks --only "conv2d*7x7"  # those whose name contains this
    python -m benchmarks.mnist                # LeNet on MNIST, epoch by epoch beside PyTorch

frameworks   the three sides under one set of names: ours, PyTorch NCHW, PyTorch channels_last
workloads    the table of workloads, by family; each is written once and run by every side
verify       whether two sides computed the same
timing       the alternating timer
machine      the processor, the versions, and what the machine can do at best
report       the table, the summary and the JSON file
torch_models the networks of tinygrad_cnn.models for PyTorch

Each workload is verified first: outputs and gradients agree with PyTorch's, or it is not timed and the run fails.
"""
