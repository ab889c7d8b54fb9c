"""The operations, by family: the table of contents.

elementwise   one row each: arithmetic, comparison, exp, relu, where, clamp ...
math          more rows and compositions: trigonometry, erfc, lerp, isclose ...
reduce        one row each: sum, mean, amax ...; composed: var, logsumexp; softmax
order         running sums and extremes, sorting, quantiles, norms, counting
shape         views and copies: reshape, permute, expand, slices, cat, pad
arrange       flip, roll, repeat, diagonals, triangles, hstack, meshgrid; composed but for the diagonal
index         x[key], gather, scatter_add
scatter       scatter and its reductions, index_add and its family, masks
inplace       how `_` methods change a tensor and its history
matmul        matmul, linear
activation    the composed activations
linalg        addmm and its family, tensordot, einsum, norms of matrices; all composed
random        draws from given probabilities
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
What a module lists in `__all__` are functions of the package, and those of an `input` are methods of tensors, too (tensor.py).
"""
