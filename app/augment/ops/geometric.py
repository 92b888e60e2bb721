"""Operations that move pixels, the mask's along with the image's, on the OpenCV calls that ECVL makes.

Every image is `(H, W, C)` in RGB order or grey, uint8 or float32; a mask is `(H, W)` or `None`. Lengths are pixels.
"""

import math

import cv2
import numpy as np

from app.augment.ops.pixels import in_fours, with_channels
from app.augment.ops.registry import chance, paired_operation, place, seed, uniform, uniform_pair
from app.augment.randomness import pixel_generator
from app.augment.signatures import LARGEST_SIDE_PX
from app.errors import JobFailure

INTERPOLATION = {
    "nearest": cv2.INTER_NEAREST,
    "linear": cv2.INTER_LINEAR,
    "area": cv2.INTER_AREA,
    "cubic": cv2.INTER_CUBIC,
    "lanczos4": cv2.INTER_LANCZOS4,
}
_INT16_LIMIT = 1 << 15
BORDER = {
    "constant": cv2.BORDER_CONSTANT,
    "replicate": cv2.BORDER_REPLICATE,
    "reflect": cv2.BORDER_REFLECT,
    "wrap": cv2.BORDER_WRAP,
    "reflect_101": cv2.BORDER_REFLECT_101,
    "reflect101": cv2.BORDER_REFLECT_101,
    "transparent": cv2.BORDER_TRANSPARENT,
}


@paired_operation("AugRotate", angle=uniform)
def rotate(image, mask, angle, center, scale, interp, gt_interp, *, scale_mask: bool):
    """Turn clockwise by `angle` degrees about `center` (default: half the size), zoomed by `scale`; the size stays."""
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D(center or (width / 2, height / 2), -angle, scale)
    interpolation = INTERPOLATION[interp]
    image = in_fours(image, lambda plane: cv2.warpAffine(plane, matrix, (width, height), flags=interpolation))
    if mask is not None:
        mask = cv2.warpAffine(mask, matrix, (width, height), flags=_mask_interpolation(gt_interp, scale_mask))
    return image, mask


@paired_operation("AugResizeDim")
def resize(image, mask, dims, interp, gt_interp, *, scale_mask: bool):
    """Resize to (width, height) or (width, height, channels); fractions are cut off, channels are interpolated."""
    width, height, *channels = map(int, dims)
    image, mask = _resized(image, mask, (width, height), interp, gt_interp, scale_mask)
    if channels and channels[0] != image.shape[2]:
        pixels = image.reshape(height * width, image.shape[2])
        image = _resized_plane(pixels, (channels[0], height * width), INTERPOLATION[interp])
        image = image.reshape(height, width, channels[0])
    return image, mask


@paired_operation("AugResizeScale")
def resize_by_factor(image, mask, scale, interp, gt_interp, *, scale_mask: bool):
    """Resize by factors of width and height, rounded half up.

    Raises:
        JobFailure: if the result would be empty or too large.
    """
    height, width = image.shape[:2]
    size = _rounded(width * scale[0]), _rounded(height * scale[1])
    if not all(1 <= side <= LARGEST_SIDE_PX for side in size):
        raise JobFailure(
            f"AugResizeScale makes {size[0]} x {size[1]} pixels of {width} x {height}; "
            f"sides from 1 to {LARGEST_SIDE_PX} are possible."
        )
    return _resized(image, mask, size, interp, gt_interp, scale_mask)


@paired_operation("AugFlip", p=chance)
def flip(image, mask, p: bool):
    """Flip upside down."""
    return _flipped(image, mask, 0) if p else (image, mask)


@paired_operation("AugMirror", p=chance)
def mirror(image, mask, p: bool):
    """Swap left and right."""
    return _flipped(image, mask, 1) if p else (image, mask)


@paired_operation("AugTranspose", p=chance)
def transpose(image, mask, p: bool):
    """Swap rows and columns."""
    if not p:
        return image, mask
    return in_fours(image, cv2.transpose), None if mask is None else cv2.transpose(mask)


@paired_operation("AugCenterCrop")
def center_crop(image, mask, size):
    """Cut (width, height) out of the middle, by default the largest square. The result shares the image's memory.

    Raises:
        JobFailure: if the image is smaller.
    """
    height, width = image.shape[:2]
    crop_width, crop_height = map(int, size or (min(width, height),) * 2)
    if crop_width > width or crop_height > height:
        raise JobFailure(
            f"AugCenterCrop cannot cut {crop_width} x {crop_height} out of an image of {width} x {height} pixels; "
            "resize it first, or use AugRandomCrop, which pads."
        )
    return _cropped(image, mask, (width - crop_width) // 2, (height - crop_height) // 2, crop_width, crop_height)


@paired_operation("AugRandomCrop", place=place)
def random_crop(image, mask, size, border_type, border_value, place, *, scale_mask: bool):
    """Cut (width, height) out at a random place; what a smaller image lacks is first added on both of its sides.

    `place` is where between the first and the last possible left and upper edge, from 0 to less than 1.

    Raises:
        JobFailure: if a smaller image would need a transparent border, which shows nothing.
    """
    crop_width, crop_height = map(int, size)
    height, width = image.shape[:2]
    if width < crop_width or height < crop_height:
        if border_type == "transparent":
            raise JobFailure(
                f"AugRandomCrop cannot make {crop_width} x {crop_height} of an image of {width} x {height} pixels with "
                'border_type="transparent", which adds nothing; use another one, or resize the image first.'
            )
        extra = max(0, crop_width - width), max(0, crop_height - height)
        image, mask = _padded(image, mask, extra, border_type, border_value if scale_mask else 0, border_value)
        height, width = image.shape[:2]
    left = int(place[0] * (width - crop_width + 1))
    top = int(place[1] * (height - crop_height + 1))
    return _cropped(image, mask, left, top, crop_width, crop_height)


@paired_operation("AugGridDistortion", num_steps=uniform, seed=seed)
def grid_distortion(
    image, mask, num_steps, distort_limit, seed, interp, border_type, border_value, *, scale_mask: bool
):
    """Stretch each cell of a grid by its own factor, 1 + a draw from `distort_limit`, once along x and once along y."""
    height, width = image.shape[:2]
    cells = int(num_steps)
    low, high = distort_limit
    draws = (low + (high - low) * pixel_generator(seed).random((2, cells))).astype(np.float32)
    x_factors, y_factors = np.float32(1) + draws
    maps = np.empty((2, height, width), np.float32)
    maps[0] = _grid_coordinates(width, x_factors)
    maps[1] = _grid_coordinates(height, y_factors)[:, np.newaxis]
    return _remapped(image, mask, maps[0], maps[1], interp, border_type, border_value, scale_mask)


@paired_operation("AugElasticTransform", alpha=uniform, sigma=uniform, seed=seed)
def elastic_transform(image, mask, alpha, sigma, seed, interp, border_type, border_value, *, scale_mask: bool):
    """Move each pixel by `alpha` times noise from [-1, 1) that a 17 x 17 Gaussian of `sigma` pixels has smoothed."""
    height, width = image.shape[:2]
    words = pixel_generator(seed).bit_generator.random_raw(-(-height * width // 2))
    noise = words.view(np.int16)[: 2 * height * width].reshape(2, height, width).astype(np.float32)
    x_map, y_map = (cv2.GaussianBlur(plane, (17, 17), sigma, borderType=cv2.BORDER_REPLICATE) for plane in noise)
    x_map *= np.float32(alpha / _INT16_LIMIT)
    y_map *= np.float32(alpha / _INT16_LIMIT)
    x_map += np.arange(width, dtype=np.float32)
    y_map += np.arange(height, dtype=np.float32)[:, np.newaxis]
    return _remapped(image, mask, x_map, y_map, interp, border_type, border_value, scale_mask)


@paired_operation("AugOpticalDistortion", distort_limit=uniform, shift_limit=uniform_pair)
def optical_distortion(image, mask, distort_limit, shift_limit, interp, border_type, border_value, *, scale_mask: bool):
    """Distort as a lens with k1 = k2 = `distort_limit`, its centre moved by `shift_limit` whole pixels."""
    height, width = image.shape[:2]
    x_shift, y_shift = map(_rounded, shift_limit)
    camera = np.array([[width, 0, width * 0.5 + x_shift], [0, height, height * 0.5 + y_shift], [0, 0, 1]], np.float32)
    lens = np.array([distort_limit, distort_limit, 0, 0, 0], np.float32)
    x_map, y_map = cv2.initUndistortRectifyMap(camera, lens, None, None, (width, height), cv2.CV_32FC1)
    return _remapped(image, mask, x_map, y_map, interp, border_type, border_value, scale_mask)


def _resized(image, mask, size, interp, gt_interp, scale_mask: bool):
    image = in_fours(image, lambda plane: _resized_plane(plane, size, INTERPOLATION[interp]))
    if mask is not None:
        mask = _resized_plane(mask, size, _mask_interpolation(gt_interp, scale_mask))
    return image, mask


def _resized_plane(plane: np.ndarray, size: tuple[int, int], interpolation: int) -> np.ndarray:
    if plane.dtype == np.uint8 and interpolation != cv2.INTER_CUBIC:
        return cv2.resize(plane, size, interpolation=interpolation)
    # Intel's routines, which are in OpenCV's wheels, round otherwise than OpenCV's own and ECVL's. The switch is the
    # thread's.
    is_used = cv2.ipp.useIPP()
    cv2.ipp.setUseIPP(False)
    try:
        return cv2.resize(plane, size, interpolation=interpolation)
    finally:
        cv2.ipp.setUseIPP(is_used)


def _mask_interpolation(gt_interp: str, scale_mask: bool) -> int:
    """Choose how a mask is interpolated: one of grey values as the text says, classes never blended."""
    return INTERPOLATION[gt_interp] if scale_mask else cv2.INTER_NEAREST


def _flipped(image, mask, axis: int):
    return with_channels(cv2.flip(image, axis)), None if mask is None else cv2.flip(mask, axis)


def _cropped(image, mask, left: int, top: int, width: int, height: int):
    window = slice(top, top + height), slice(left, left + width)
    return image[window], None if mask is None else mask[window]


def _remapped(image, mask, x_map, y_map, interp, border_type, border_value, scale_mask: bool):
    """Look every pixel up where the maps point; the mask by its nearest pixel, so that no classes are blended."""
    border = BORDER[border_type]
    interpolation, colour = INTERPOLATION[interp], _colour(image, border_value)
    image = in_fours(image, lambda plane: _looked_up(plane, x_map, y_map, interpolation, border, colour))
    if mask is not None:
        # Beyond the edge of a class map is background: the grey value of the image would name some class.
        beyond = border_value if scale_mask else 0
        mask = _looked_up(mask, x_map, y_map, cv2.INTER_NEAREST, border, beyond)
    return image, mask


def _looked_up(plane, x_map, y_map, interpolation: int, border: int, beyond):
    # What lies beyond a transparent border shows the plane itself (ECVL leaves unset memory there).
    target = plane.copy() if border == cv2.BORDER_TRANSPARENT else None
    return cv2.remap(plane, x_map, y_map, interpolation, dst=target, borderMode=border, borderValue=beyond)


def _padded(image, mask, extra: tuple[int, int], border_type: str, mask_value: float, image_value: float):
    """Add pixels on each side: extra[0] left and right, extra[1] above and below."""
    border = BORDER[border_type]
    sides = (extra[1], extra[1], extra[0], extra[0])
    colour = _colour(image, image_value)
    image = in_fours(image, lambda plane: cv2.copyMakeBorder(plane, *sides, border, value=colour))
    if mask is not None:
        mask = cv2.copyMakeBorder(mask, *sides, border, value=mask_value)
    return image, mask


def _colour(image: np.ndarray, border_value: float):
    """Give the border's colour: ECVL sets the first plane in OpenCV's order, which is blue, the last of RGB."""
    value = int(border_value)
    return (0, 0, value) if image.shape[2] == 3 else (value,) * 4


def _grid_coordinates(size: int, factors: np.ndarray) -> np.ndarray:
    """Compute where along one axis each pixel comes from, in single precision step by step as ECVL does.

    The pixels that are left over when `size` is no multiple of the number of cells come from position 0.
    """
    coordinates = np.zeros(size, np.float32)
    step = size // len(factors)
    if step == 0:
        return coordinates
    starts, spans, start = [], [], 0
    for length in (np.float32(step) * factors).tolist():
        end = float(np.float32(start + length))
        starts.append(start)
        spans.append(end - start)
        start = int(end)
    runs = coordinates[: step * len(factors)].reshape(len(factors), step)
    if step > 1:
        runs[:] = (np.array(spans, np.float32) / np.float32(step - 1))[:, np.newaxis]
    runs[:, 0] = starts
    np.add.accumulate(runs, axis=1, out=runs)
    return coordinates


def _rounded(value: float) -> int:
    """Round to the nearest integer, halves away from zero, as C does."""
    return int(math.copysign(math.floor(abs(value) + 0.5), value))
