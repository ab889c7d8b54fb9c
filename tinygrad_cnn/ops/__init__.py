"""The operations, by family: the table of contents.

elementwise   one row each: arithmetic, comparison, exp, relu, where, clamp ...
reduce        one row each: sum, mean, amax ...; composed: var, logsumexp; softmax
shape         views and copies: reshape, permute, expand, slices, cat, pad
index         x[key], gather, scatter_add
inplace       how `_` methods change a tensor and its history
matmul        matmul, linear
conv          conv2d and its two gradients, unfold and fold
pool          max, average and adaptive pooling
norm          batch and local response normalisation
loss          cross-entropy and the composed losses
dropout       dropout without masks

A class (Op) is a primitive with its own gradient; a function is what users call: it checks, promotes and composes.
"""
