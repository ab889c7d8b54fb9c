"""The operations, by family: the table of contents.

elementwise   one row each: arithmetic, comparison, exp, relu, where, clamp ...
reduce        one row each: sum, mean, amax ...; composed: var, logsumexp; softmax
shape         views and copies: reshape, permute, expand, slices, cat, pad
index         x[key], gather, scatter_add
inplace       how `_` methods change a tensor and its history
matmul        matmul, linear
activation    the composed activations
conv          conv2d and its two gradients, unfold and fold
conv_nd       convolution along one and three axes, transposed convolution
pool          max, average and adaptive pooling
pool_nd       pooling along one and three axes, adaptive maxima, unpooling
norm          batch and local response normalisation
norm_groups   layer, group, instance and RMS normalisation
loss          cross-entropy and the composed losses
metric        distances, similarities, losses of pairs, triplets and margins
dropout       dropout without masks
resize        interpolate
grid          grid_sample, affine_grid
rearrange     pixel and channel shuffles, one_hot, embedding

A class (Op) is a primitive with its own gradient; a function is what users call: it checks, promotes and composes.
"""
