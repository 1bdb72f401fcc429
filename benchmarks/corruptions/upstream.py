"""How make_cifar_c.py of hendrycks/robustness is read: its functions alone, by the names its libraries have now."""

READ = """
import sys
source = open(sys.argv[1]).read().partition("import collections")[0]
for old, new in {
    "multichannel=True": "channel_axis=-1", "np.float_": "np.float64", "np.fromstring": "np.frombuffer",
    "scipy.ndimage.interpolation": "scipy.ndimage",
}.items():
    source = source.replace(old, new)
exec(source)
"""
