"""What every process that makes tiles needs before its first: to import this is to have it.

The first compiled loop that a process calls makes numba read its tables of types, which takes longer than many a tile.
"""

import numpy as np

from tiles.gltf import kernels

kernels.extent(np.zeros((1, 3)))
