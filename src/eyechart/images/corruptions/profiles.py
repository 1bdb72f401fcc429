"""The corruptions of each profile, and their constants at severities 1 to 5.

`cifar-c` has those of CIFAR-10-C, made for 32 pixels; `imagenet-c` those of ImageNet-C, made for 224; `photo` is what
happens to photographs. Numbers of different profiles are not comparable, and are never mixed.

Sources: Hendrycks and Dietterich, Benchmarking neural network robustness to common corruptions and perturbations,
ICLR 2019, and their programs make_cifar_c.py and make_imagenet_c.py (hendrycks/robustness, commit 8190fe3).
"""

Cell = tuple[str, int]  # a corruption and a severity
SEVERITIES = (1, 2, 3, 4, 5)
GROUPS = {
    "noise": ("gaussian_noise", "shot_noise", "impulse_noise"),
    "blur": ("defocus_blur", "glass_blur", "motion_blur", "zoom_blur"),
    "weather": ("snow", "frost", "fog", "brightness"),
    "digital": ("contrast", "elastic_transform", "pixelate", "jpeg_compression"),
}
COMMON = tuple(name for names in GROUPS.values() for name in names)  # the 15 of the paper
EXTRA = ("speckle_noise", "gaussian_blur", "spatter", "saturate")  # its 4 for validation
SETS = {"common": COMMON, "prior": (*COMMON, "gaussian_blur"), "all": (*COMMON, *EXTRA)}  # that means are over
PHOTOGRAPHIC = ("overexposure", "underexposure", "jpeg_quality", "downscale", "crop", "rotation")
MODULES = {
    "noise": ("gaussian_noise", "shot_noise", "impulse_noise", "speckle_noise"),
    "blur": ("defocus_blur", "glass_blur", "motion_blur", "zoom_blur", "gaussian_blur"),
    "weather": ("snow", "frost", "fog", "spatter"),
    "digital": ("brightness", "contrast", "elastic_transform", "pixelate", "jpeg_compression", "saturate"),
    "photographic": PHOTOGRAPHIC,
}

# What each corruption's function is given after images and seeds, at severities 1 to 5.
_CIFAR = {
    "gaussian_noise": ((0.04,), (0.06,), (0.08,), (0.09,), (0.10,)),
    "shot_noise": ((500.0,), (250.0,), (100.0,), (75.0,), (50.0,)),
    "impulse_noise": ((0.01,), (0.02,), (0.03,), (0.05,), (0.07,)),
    "speckle_noise": ((0.06,), (0.1,), (0.12,), (0.16,), (0.2,)),
    "gaussian_blur": ((0.4,), (0.6,), (0.7,), (0.8,), (1.0,)),
    "glass_blur": ((0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2)),
    "defocus_blur": ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1.0, 0.2), (1.5, 0.1)),
    "motion_blur": ((6.0, 1.0), (6.0, 1.5), (6.0, 2.0), (8.0, 2.0), (9.0, 2.5)),
    "zoom_blur": ((1.06, 0.01), (1.11, 0.01), (1.16, 0.01), (1.21, 0.01), (1.26, 0.01)),
    "snow": (
        *((0.1, 0.2, 1.0, 0.6, 8.0, 3.0, 0.95), (0.1, 0.2, 1.0, 0.5, 10.0, 4.0, 0.9)),
        *((0.15, 0.3, 1.75, 0.55, 10.0, 4.0, 0.9), (0.25, 0.3, 2.25, 0.6, 12.0, 6.0, 0.85)),
        (0.3, 0.3, 1.25, 0.65, 14.0, 12.0, 0.8),
    ),
    "frost": ((1.0, 0.2, 0.2), (1.0, 0.3, 0.2), (0.9, 0.4, 0.2), (0.85, 0.4, 0.2), (0.75, 0.45, 0.2)),
    "fog": ((0.2, 3.0), (0.5, 3.0), (0.75, 2.5), (1.0, 2.0), (1.5, 1.75)),
    "spatter": (
        *((0.62, 0.1, 0.7, 0.7, 0.5, 0), (0.65, 0.1, 0.8, 0.7, 0.5, 0), (0.65, 0.3, 1.0, 0.69, 0.5, 0)),
        *((0.65, 0.1, 0.7, 0.69, 0.6, 1), (0.65, 0.1, 0.5, 0.68, 0.6, 1)),
    ),
    "brightness": ((0.05,), (0.1,), (0.15,), (0.2,), (0.3,)),
    "contrast": ((0.75,), (0.5,), (0.4,), (0.3,), (0.15,)),
    "elastic_transform": ((0.0, 0.0, 2.56), (1.6, 6.4, 2.24), (2.56, 1.92, 1.92), (3.2, 1.28, 1.6), (3.2, 0.96, 0.96)),
    "pixelate": ((0.95,), (0.9,), (0.85,), (0.75,), (0.65,)),
    "jpeg_compression": ((80,), (65,), (58,), (50,), (40,)),
    "saturate": ((0.3, 0.0), (0.1, 0.0), (1.5, 0.0), (2.0, 0.1), (2.5, 0.2)),
}
_IMAGENET = {
    "gaussian_noise": ((0.08,), (0.12,), (0.18,), (0.26,), (0.38,)),
    "shot_noise": ((60.0,), (25.0,), (12.0,), (5.0,), (3.0,)),
    "impulse_noise": ((0.03,), (0.06,), (0.09,), (0.17,), (0.27,)),
    "speckle_noise": ((0.15,), (0.2,), (0.35,), (0.45,), (0.6,)),
    "gaussian_blur": ((1.0,), (2.0,), (3.0,), (4.0,), (6.0,)),
    "glass_blur": ((0.7, 1, 2), (0.9, 2, 1), (1.0, 2, 3), (1.1, 3, 2), (1.5, 4, 2)),
    "defocus_blur": ((3.0, 0.1), (4.0, 0.5), (6.0, 0.5), (8.0, 0.5), (10.0, 0.5)),
    "motion_blur": ((10.0, 3.0), (15.0, 5.0), (15.0, 8.0), (15.0, 12.0), (20.0, 15.0)),
    "zoom_blur": ((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03)),
    "snow": (
        *((0.1, 0.3, 3.0, 0.5, 10.0, 4.0, 0.8), (0.2, 0.3, 2.0, 0.5, 12.0, 4.0, 0.7)),
        *((0.55, 0.3, 4.0, 0.9, 12.0, 8.0, 0.7), (0.55, 0.3, 4.5, 0.85, 12.0, 8.0, 0.65)),
        (0.55, 0.3, 2.5, 0.85, 12.0, 12.0, 0.55),
    ),
    "frost": ((1.0, 0.4, 1.0), (0.8, 0.6, 1.0), (0.7, 0.7, 1.0), (0.65, 0.7, 1.0), (0.6, 0.75, 1.0)),
    "fog": ((1.5, 2.0), (2.0, 2.0), (2.5, 1.7), (2.5, 1.5), (3.0, 1.4)),
    "spatter": (
        *((0.65, 0.3, 4.0, 0.69, 0.6, 0), (0.65, 0.3, 3.0, 0.68, 0.6, 0), (0.65, 0.3, 2.0, 0.68, 0.5, 0)),
        *((0.65, 0.3, 1.0, 0.65, 1.5, 1), (0.67, 0.4, 1.0, 0.65, 1.5, 1)),
    ),
    "brightness": ((0.1,), (0.2,), (0.3,), (0.4,), (0.5,)),
    "contrast": ((0.4,), (0.3,), (0.2,), (0.1,), (0.05,)),
    "elastic_transform": (
        *((488.0, 170.8, 24.4), (488.0, 19.52, 48.8)),  # of 244, which is no slip of ours: the program has it so
        *((12.2, 2.44, 4.88), (17.08, 2.44, 4.88), (29.28, 2.44, 4.88)),
    ),
    "pixelate": ((0.6,), (0.5,), (0.4,), (0.3,), (0.25,)),
    "jpeg_compression": ((25,), (18,), (15,), (10,), (7,)),
    "saturate": ((0.3, 0.0), (0.1, 0.0), (2.0, 0.0), (5.0, 0.1), (20.0, 0.2)),
}
_PHOTO = {
    "overexposure": ((0.5,), (1.0,), (1.5,), (2.0,), (3.0,)),
    "underexposure": ((1.0,), (2.0,), (3.0,), (4.0,), (5.0,)),
    "jpeg_quality": ((80,), (50,), (30,), (15,), (5,)),
    "downscale": ((0.75,), (0.5,), (0.35,), (0.25,), (0.15,)),
    "crop": ((0.8,), (0.6,), (0.45,), (0.3,), (0.2,)),
    "rotation": ((5.0,), (10.0,), (20.0,), (45.0,), (90.0,)),
}
CONSTANTS: dict[str, dict[str, tuple[tuple[float, ...], ...]]] = {
    "cifar-c": _CIFAR,
    "imagenet-c": _IMAGENET,
    "photo": _PHOTO,
}
