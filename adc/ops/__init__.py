"""Every primitive and composite that adc knows, one family a file.

`registry` → `structure` (broadcasts, dtypes, sizes) → `core` (values, promotion, the elementwise factory) →
`arithmetic` → `comparison` → `elementary` → `operators` → `reduce` → `shape` → `index` → `linalg` → …
Importing this package registers all of them; `lookup(np.sin)` finds what answers to an object.
"""

# after comparison and reduce: `pick` answers to np.where with one argument
from adc.ops import arithmetic, comparison, elementary, operators, reduce, contract, probability  # noqa: F401, I001
from adc.ops import access, arrange, create, gather, index, joining, parts, pick, ranges, shape  # noqa: F401
from adc.ops import composite, convolve, linalg, matrices, scan, sort, special  # noqa: F401
