"""Render the example image, a hot dog on a plate, by sphere tracing distance fields in numpy.

Lengths are centimetres in a right-handed world: the hot dog lies along x, z points up and the
plate's floor is z = 0.  Points, directions and colours are float32 arrays of shape (3, n); colours
are linear light until the image is developed at the end.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Array = NDArray[np.float32]

SEED = 20
PASSES = 24
TILE_ROWS = 24  # small enough that one tile's temporaries stay in the processor's cache
JPEG_QUALITY = 88

TABLE, PLATE, BUN, SAUSAGE, KETCHUP, MUSTARD = range(6)

SAUSAGE_RADIUS = 1.25
SAUSAGE_HALF = 7.1  # half the length of the straight part; the round tips come on top
SAUSAGE_HEIGHT = 2.62
PLATE_RADIUS = 10.0
PLATE_STRETCH = (1.17, 0.86)  # the plate is oval
TABLE_HEIGHT = -0.9
LIFT = 0.35  # the opened halves are raised by this much, then squashed flat on the plate
BOX_HALF = (9.2, 5.2, 2.6)  # encloses the hot dog
BOX_CENTRE = (0.0, 0.0, 2.4)

CAMERA_TARGET = (-0.25, 0.0, 1.3)
CAMERA_AZIMUTH = -24.0  # degrees; 0 looks square at the side of the bun
CAMERA_ELEVATION = 51.0
CAMERA_DISTANCE = 40.0
CAMERA_TANGENT = 0.214  # half the image's width at distance 1
LENS_RADIUS = 0.42

LIGHT_CENTRE = np.array([-12.0, -2.5, 25.0], np.float32)
LIGHT_U = np.array([0.8, 6.5, 0.0], np.float32)  # half edges of the rectangular soft box
LIGHT_V = np.array([4.4, -0.5, 2.1], np.float32)
LIGHT_COLOUR = np.array([[1.0], [0.955], [0.88]], np.float32) * 13.0


def linear(hex_colour: str) -> Array:
    """Return the linear-light colour (3, 1) of an sRGB colour written as six hex digits."""
    srgb = np.frombuffer(bytes.fromhex(hex_colour), np.uint8).astype(np.float32) / 255
    value = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    return value.astype(np.float32)[:, None]


# What a ray sees when it bounces off each material, where texture would go unnoticed.
MEAN_COLOUR = np.concatenate(
    [linear(c) for c in ("7a5230", "e6e2da", "dca866", "a8452c", "a81810", "e8b418")], axis=1
)


# --- small vector and noise helpers ---------------------------------------------------------------


def dot(a: Array, b: Array) -> Array:
    """Return the dot products (n,) of two sets of vectors (3, n)."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def normalize(v: Array) -> Array:
    """Return the vectors (3, n) scaled to unit length."""
    return v / np.sqrt(dot(v, v) + np.float32(1e-12))


def mix(a: Array, b: Array, t: Array) -> Array:
    """Return a where t is 0, b where t is 1, and a straight blend between."""
    return a + (b - a) * t


def smoothstep(low: float, high: float, x: Array) -> Array:
    """Return 0 below low, 1 above high, and a smooth rise between; shape as x."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def smooth_min(a: Array, b: Array, k: float) -> Array:
    """Return the union of two distances, blended where they differ by less than k cm."""
    h = np.maximum(k - np.abs(a - b), 0)
    return np.minimum(a, b) - h * h * (0.25 / k)


def smooth_max(a: Array, b: Array, k: float) -> Array:
    """Return the intersection of two distances, blended where they differ by less than k cm."""
    return -smooth_min(-a, -b, k)


_LATTICE = np.random.default_rng(SEED).random(64**3, dtype=np.float32)


def noise(p: Array, scale: tuple[float, float, float] | float = 1.0) -> Array:
    """Return value noise in 0..1 (n,) at points (3, n) multiplied by scale (cycles per cm)."""
    q = p * np.broadcast_to(np.asarray(scale, np.float32), (3,))[:, None]
    cell = np.floor(q)
    f = q - cell
    f = f * f * (3 - 2 * f)
    i = cell.astype(np.int32) & 63
    j = (i + 1) & 63
    xs, ys, zs = (i[0], j[0]), (i[1] << 6, j[1] << 6), (i[2] << 12, j[2] << 12)

    def along_x(y: NDArray[np.int32], z: NDArray[np.int32]) -> Array:
        return mix(_LATTICE[xs[0] + y + z], _LATTICE[xs[1] + y + z], f[0])

    near = mix(along_x(ys[0], zs[0]), along_x(ys[1], zs[0]), f[1])
    far = mix(along_x(ys[0], zs[1]), along_x(ys[1], zs[1]), f[1])
    return mix(near, far, f[2])


def fbm(p: Array, scale: tuple[float, float, float] | float, octaves: int = 3) -> Array:
    """Return noise (n,) summed over octaves, each twice as fine and half as strong; about 0..1."""
    base = np.broadcast_to(np.asarray(scale, np.float32), (3,))
    total, weight = np.zeros(p.shape[1], np.float32), 0.0
    for octave in range(octaves):
        # The offset keeps octaves from lining up at the origin.
        total += noise(p + np.float32(7.3 * octave), base * np.float32(2.03**octave)) * 0.5**octave
        weight += 0.5**octave
    return total / np.float32(weight)


# --- the shapes -----------------------------------------------------------------------------------


class Line(NamedTuple):
    """A squeezed line of sauce, drawn on the sausage's unrolled skin."""

    distance: Array  # (rows over u, columns over x): cm to the line, over GRID_X and GRID_U
    radius: float


GRID_X, GRID_U, GRID_STEP = 8.4, 3.0, 0.05  # half extents and spacing of that map, cm


def draw_line(x: Array, u: Array, radius: float) -> Line:
    """Map the distance to a curve given by its samples x (along) and u (around the sausage), cm."""
    gx = np.arange(-GRID_X, GRID_X + GRID_STEP, GRID_STEP, dtype=np.float32)
    gu = np.arange(-GRID_U, GRID_U + GRID_STEP, GRID_STEP, dtype=np.float32)
    rows = [
        np.sqrt(np.min((gx[:, None] - x) ** 2 + (row - u) ** 2, axis=1)).astype(np.float32)
        for row in gu
    ]
    return Line(np.stack(rows), radius)


def zigzag(start: float, end: float, wave: float, swing: float, middle: float) -> tuple:
    """Return samples (x, u) of a hand-squeezed wavy line of the given wavelength and swing, cm."""
    x = np.linspace(start, end, 500, dtype=np.float32)
    phase = 2 * np.pi * x / wave + 0.35 * np.sin(0.9 * x) + 0.25 * np.sin(2.1 * x + 1)
    reach = swing * (1 + 0.13 * np.sin(1.7 * x + 0.5))
    # Hurrying through the turns makes round hairpins, as a swinging bottle does.
    lean = -0.075 * wave * np.sin(2 * phase)
    u = middle + reach * np.sin(phase) + 0.08 * np.sin(0.6 * x)
    return (x + lean).astype(np.float32), u.astype(np.float32)


MUSTARD_LINE = draw_line(*zigzag(-6.6, 6.8, 2.3, 0.74, 0.05), radius=0.27)
KETCHUP_LINE = draw_line(*zigzag(-6.4, 6.2, 4.7, 0.12, -1.3), radius=0.27)


def line_distance(line: Line, x: Array, u: Array, rise: Array) -> Array:
    """Return the distance (n,) to a line of sauce at unrolled x and u, rise cm above the skin."""
    rows, columns = line.distance.shape
    fx = np.clip((x + GRID_X) / GRID_STEP, 0, columns - 1.001)
    fu = np.clip((u + GRID_U) / GRID_STEP, 0, rows - 1.001)
    ix, iu = fx.astype(np.int32), fu.astype(np.int32)
    tx, tu = fx - ix, fu - iu
    flat, at = line.distance.ravel(), iu * columns + ix
    low = mix(flat[at], flat[at + 1], tx)
    flat_distance = mix(low, mix(flat[at + columns], flat[at + columns + 1], tx), tu)
    thick = line.radius * (1 + 0.14 * np.sin(2.3 * x + 1.1 * u) + 0.08 * np.sin(5.1 * x))
    # Sauce settles: its section is a little wider than it is high.
    return 0.72 * (np.sqrt(flat_distance**2 + (rise * 1.12) ** 2) - thick)


def bend(p: Array) -> tuple[Array, Array, Array]:
    """Return x, y, z (n,) with the hot dog's slight curve in the plane of the plate undone."""
    x = p[0]
    return x, p[1] + 0.008 * x * x - 0.15, p[2]


def half_bun(x: Array, y: Array, z: Array, side: int) -> tuple[Array, Array, Array, Array]:
    """Return distance to one half, depth below the loaf's skin, and its upright y and z (n,).

    The half is a loaf cut down the middle (y = 0) and swung outwards about the hinge at its foot.
    """
    angle = np.float32(np.radians(33.0 if side > 0 else 30.0))
    c, s = np.cos(angle), np.sin(angle)
    out, up = side * y, z - LIFT
    ly, lz = out * c - up * s, out * s + up * c
    wobble = 0.05 * np.sin(0.9 * x + 2.0 * side) + 0.05 * np.sin(1.9 * x + lz + side)
    ends = np.maximum(np.abs(x + 0.12 * side) - 4.3, 0)
    rx, ry, rz = 3.1, 2.7 + wobble, 2.08 + 0.6 * wobble
    qy, qz = ly / ry, (lz - 1.95) / rz
    qx = ends / rx
    loaf = (np.sqrt(qx * qx + qy * qy + qz * qz + 1e-9) - 1) * 2.1
    cut = -ly + 0.05 * np.sin(1.3 * x + 3 * side) * np.sin(1.7 * lz)
    return smooth_max(loaf, cut, 0.22), loaf, ly, lz


def bun_distance(x: Array, y: Array, z: Array) -> Array:
    """Return the distance (n,) to both halves, joined at the hinge and flattened by the plate."""
    left, right = half_bun(x, y, z, -1)[0], half_bun(x, y, z, 1)[0]
    return smooth_max(smooth_min(left, right, 0.55), 0.02 - z, 0.35) * np.float32(0.86)


def sausage_frame(x: Array, y: Array, z: Array) -> tuple[Array, Array, Array]:
    """Return y and z from the sausage's axis, whose tips curl up, and the radius there (n,)."""
    up = z - (SAUSAGE_HEIGHT + 0.009 * x * x)
    return y, up, np.sqrt(y * y + up * up + 1e-9)


def sausage_distance(x: Array, radius: Array) -> Array:
    """Return the distance (n,) to the sausage: a capsule with tapering, dimpled tips."""
    along = np.maximum(np.abs(x) - SAUSAGE_HALF, 0)
    body = np.sqrt((along * 0.92) ** 2 + radius**2) - SAUSAGE_RADIUS
    uneven = 0.035 * np.sin(0.8 * x + 1.0) + 0.02 * np.sin(2.2 * x)
    tip = np.exp(-((radius / 0.22) ** 2)) * (along > 0.6) * 0.13
    return body + uneven + tip


def hot_dog_parts(p: Array) -> Array:
    """Return distances (4, n) to bun, sausage, ketchup and mustard."""
    x, y, z = bend(p)
    sy, sz, radius = sausage_frame(x, y, z)
    sausage = sausage_distance(x, radius)
    around = np.arctan2(sy, sz) * SAUSAGE_RADIUS
    rise = radius - SAUSAGE_RADIUS
    ketchup = line_distance(KETCHUP_LINE, x, around, rise - 0.05)
    mustard = line_distance(MUSTARD_LINE, x, around, rise - 0.12)
    return np.stack([bun_distance(x, y, z), sausage * np.float32(0.94), ketchup, mustard])


def plate_distance(p: Array) -> Array:
    """Return the distance (n,) to an oval plate with a raised rim."""
    r = np.sqrt((p[0] / PLATE_STRETCH[0]) ** 2 + (p[1] / PLATE_STRETCH[1]) ** 2)
    floor = 0.75 * smoothstep(7.4, PLATE_RADIUS + 0.6, r) + 0.12 * smoothstep(7.0, 7.6, r)
    slab = np.abs(p[2] - floor + 0.16) - 0.16
    return smooth_max(slab * np.float32(0.85), (r - PLATE_RADIUS) * np.float32(0.85), 0.25)


def scene_parts(p: Array) -> Array:
    """Return distances (6, n) to the materials in the order of their numbers."""
    return np.concatenate([(p[2] - TABLE_HEIGHT)[None], plate_distance(p)[None], hot_dog_parts(p)])


def scene_distance(p: Array) -> Array:
    """Return a safe distance (n,) to the nearest surface."""
    result = np.minimum(p[2] - TABLE_HEIGHT, plate_distance(p))
    gap = [np.abs(p[a] - BOX_CENTRE[a]) - BOX_HALF[a] for a in range(3)]
    box = np.maximum(np.maximum(gap[0], gap[1]), gap[2])
    # The hot dog is dear to evaluate, so far points make do with the distance to its box.
    near = np.flatnonzero(box < 0.4)
    far = box + 0.1
    if near.size:
        far[near] = hot_dog_parts(p[:, near]).min(axis=0)
    return np.minimum(result, far)


def trace(origin: Array, ray: Array, start: float, reach: float, steps: int) -> Array:
    """March rays (3, n) and return the distance of each hit (n,), infinity where nothing is hit."""
    t = np.full(origin.shape[1], start, np.float32)
    hit = np.full(origin.shape[1], np.inf, np.float32)
    live = np.arange(origin.shape[1])
    for _ in range(steps):
        d = scene_distance(origin[:, live] + ray[:, live] * t[live])
        close = d < 0.004
        hit[live[close]] = t[live[close]]
        t[live] += np.maximum(d, 0.004)
        above = origin[2, live] + ray[2, live] * t[live] < 7.0
        # Nothing stands higher than 7 cm, so a ray that climbs past it is free.
        live = live[~close & (t[live] < reach) & (above | (ray[2, live] < 0))]
        if not live.size:
            break
    return hit


_TETRAHEDRON = np.array([[1, -1, -1], [-1, -1, 1], [-1, 1, -1], [1, 1, 1]], np.float32)


def gradient(field: Callable[[Array], Array], p: Array, step: float) -> Array:
    """Return the gradient (3, n) of a field over points (3, n), by four samples."""
    total = np.zeros_like(p)
    for corner in _TETRAHEDRON[:, :, None]:
        total += corner * field(p + corner * np.float32(step))
    return total / np.float32(4 * step)


# --- the materials --------------------------------------------------------------------------------


class Look(NamedTuple):
    """How a material answers light at points."""

    colour: Array  # (3, n) diffuse reflectance
    gloss: Array  # (n,) strength of the coat's reflection, 0 for dull
    rough: Array  # (n,) spread of that reflection
    height: Callable[[Array], Array]  # bumps too fine for the distance field, cm


def bun_layers(p: Array) -> tuple[Array, Array]:
    """Return how much of the bun is crumb (n,), not crust, and how brown it is baked (n,)."""
    x, y, z = bend(p)
    left, right = half_bun(x, y, z, -1), half_bun(x, y, z, 1)
    nearer = right[0] < left[0]
    loaf, ly, lz = (np.where(nearer, r, lf) for r, lf in zip(right[1:], left[1:], strict=True))
    ragged = 0.10 * (fbm(p, 2.2) - 0.5)
    crumb = smoothstep(0.10, 0.26, -loaf + ragged) * smoothstep(0.75, 0.25, ly)
    end = smoothstep(4.2, 7.0, np.abs(x))
    top = smoothstep(1.2, 4.1, lz + 0.6 * end + 0.8 * (fbm(p, 0.55) - 0.5))
    foot = smoothstep(0.7, 0.1, z)
    return crumb, np.clip(top + 0.35 * foot, 0, 1)


def bun_height(p: Array) -> Array:
    """Return the bun's fine relief (n,): a leathery crust, and pores in the crumb."""
    x, y, z = bend(p)
    loaf = np.minimum(np.abs(half_bun(x, y, z, -1)[1]), np.abs(half_bun(x, y, z, 1)[1]))
    inside = smoothstep(0.10, 0.25, loaf)
    crust = 0.05 * fbm(p, 1.6, 2) + 0.012 * fbm(p, 6.0, 2)
    pores = 0.045 * fbm(p, 4.2, 3)
    return mix(crust, pores, inside)


def bun_look(p: Array) -> Look:
    """Return the look of golden crust outside and pale crumb inside."""
    crumb, brown = bun_layers(p)
    mottle = fbm(p, 3.0, 3)
    pale, gold, toast = linear("f6cf88"), linear("dd9640"), linear("a8591c")
    shade = np.clip(brown + 0.4 * (mottle - 0.5), 0, 1)
    crust = mix(mix(pale, gold, smoothstep(0.0, 0.55, shade)), toast, smoothstep(0.6, 1.05, shade))
    pores = smoothstep(0.52, 0.32, fbm(p, 4.2, 3))
    bread = mix(linear("ffebbc"), linear("e9bb76"), 0.7 * pores)
    colour = mix(crust, bread, crumb)
    gloss = (1 - crumb) * (0.25 + 0.5 * mottle)
    return Look(colour, gloss, np.full_like(gloss, 0.34), bun_height)


def sausage_look(p: Array) -> Look:
    """Return the look of a glossy fried sausage, darker at the tips and where the pan touched."""
    x, y, z = bend(p)
    sy, sz, _ = sausage_frame(x, y, z)
    blotch, fine = fbm(p, 0.9, 3), fbm(p, 7.0, 2)
    tip = smoothstep(7.2, 8.3, np.abs(x))
    browned = smoothstep(0.50, 0.74, blotch + 0.18 * tip + 0.08 * np.sin(np.arctan2(sy, sz) * 2))
    red, rust, seared = linear("c4532c"), linear("a5381a"), linear("561a0c")
    colour = mix(mix(red, rust, fine), seared, 0.75 * browned)
    gloss = 1.0 - 0.35 * browned
    return Look(colour, gloss, 0.09 + 0.07 * fine, sausage_height)


def sausage_height(p: Array) -> Array:
    """Return the skin's relief (n,): long shallow wrinkles, stronger towards the tips."""
    x = p[0]
    tip = smoothstep(6.4, 8.2, np.abs(x))
    lengthwise = fbm(p, (0.6, 3.4, 3.4), 2)
    return (0.03 + 0.08 * tip) * lengthwise + 0.012 * fbm(p, 2.4, 2)


def sauce_look(p: Array, dark: str, light: str) -> Look:
    """Return the look of a wet sauce between two sRGB colours."""
    colour = mix(linear(dark), linear(light), fbm(p, 1.8, 3))
    ones = np.ones(p.shape[1], np.float32)
    return Look(colour, ones, ones * 0.10, lambda q: 0.05 * fbm(q, 2.6, 2))


def plate_look(p: Array) -> Look:
    """Return the look of white glazed china."""
    ones = np.ones(p.shape[1], np.float32)
    colour = linear("f1efe9") * ones * (0.97 + 0.03 * fbm(p, 0.4, 2))
    return Look(colour, ones, ones * 0.07, lambda q: np.zeros(q.shape[1], np.float32))


def wood_space(p: Array) -> tuple[Array, Array]:
    """Return points along the grain (3, n), shifted from plank to plank, and the plank's seam."""
    c, s = np.float32(np.cos(0.55)), np.float32(np.sin(0.55))
    along, across = p[0] * c + p[1] * s, p[1] * c - p[0] * s
    plank = np.floor(across / 8.5)
    seam = np.abs(across / 8.5 - plank - 0.5)
    return np.stack([along + 13.7 * plank, across, 3.1 * plank + p[2]]), smoothstep(0.49, 0.5, seam)


def wood_look(p: Array) -> Look:
    """Return the look of an oiled wooden table of broad planks."""
    q, seam = wood_space(p)
    rings = fbm(q, (0.03, 0.4, 0.3), 3)
    grain = 0.5 + 0.5 * np.sin(70 * rings + 3 * fbm(q, (0.2, 2.0, 1.0), 2))
    fibre = fbm(q, (0.5, 9.0, 1.0), 2)
    tone = np.clip(0.55 * grain + 0.55 * fibre + 0.5 * (rings - 0.5), 0, 1)
    colour = mix(linear("563014"), linear("a26a37"), tone) * (1 - 0.75 * seam)
    ones = np.ones(p.shape[1], np.float32)
    return Look(
        colour, ones * 0.5, ones * 0.25, lambda r: 0.015 * fbm(wood_space(r)[0], (0.5, 9, 1))
    )


LOOKS: dict[int, Callable[[Array], Look]] = {
    TABLE: wood_look,
    PLATE: plate_look,
    BUN: bun_look,
    SAUSAGE: sausage_look,
    KETCHUP: lambda p: sauce_look(p, "a01008", "c8200e"),
    MUSTARD: lambda p: sauce_look(p, "e3a206", "f4c31c"),
}


class Surface(NamedTuple):
    """What primary rays found, all over n hits."""

    point: Array  # (3, n)
    normal: Array  # (3, n)
    colour: Array  # (3, n)
    gloss: Array  # (n,)
    rough: Array  # (n,)


def surface_at(p: Array) -> Surface:
    """Return the surface at hit points (3, n), with each material's fine relief in its normal."""
    kind = scene_parts(p).argmin(axis=0)
    normal = normalize(gradient(scene_distance, p, 0.012))
    colour, gloss, rough = np.zeros_like(p), np.zeros_like(p[0]), np.zeros_like(p[0])
    for number, look_of in LOOKS.items():
        at = np.flatnonzero(kind == number)
        if not at.size:
            continue
        q, look = p[:, at], look_of(p[:, at])
        slope = gradient(look.height, q, 0.03)
        n = normal[:, at]
        normal[:, at] = normalize(n - slope + n * dot(slope, n))
        colour[:, at], gloss[at], rough[at] = look.colour, look.gloss, look.rough
    return Surface(p, normal, colour, gloss, rough)


# --- light ----------------------------------------------------------------------------------------


def room(ray: Array) -> Array:
    """Return the light (3, n) arriving from the room along rays, without the key light."""
    up = np.clip(ray[2], 0, 1)
    wall, ceiling = linear("7d746a"), linear("b4aea8")
    window = smoothstep(0.80, 0.93, ray[0] * 0.62 + ray[1] * -0.45 + ray[2] * 0.64)
    return mix(wall, ceiling, up) + np.array([[0.75], [0.85], [1.0]], np.float32) * window


def soft_box(origin: Array, ray: Array) -> Array:
    """Return 1 where rays (3, n) run into the key light's rectangle, with softened edges (n,)."""
    face = np.cross(LIGHT_U, LIGHT_V)
    offset = LIGHT_CENTRE[:, None] - origin
    slope = face @ ray
    t = (face @ offset) / np.where(np.abs(slope) < 1e-5, 1e-5, slope)
    spot = ray * t - offset
    u = np.abs(LIGHT_U @ spot) / (LIGHT_U @ LIGHT_U)
    v = np.abs(LIGHT_V @ spot) / (LIGHT_V @ LIGHT_V)
    return (t > 0) * smoothstep(1.1, 0.9, u) * smoothstep(1.1, 0.9, v)


def basis(n: Array) -> tuple[Array, Array]:
    """Return two directions (3, n) square to unit vectors n and to each other."""
    helper = np.where(np.abs(n[2]) < 0.9, 0, 1)
    a = np.stack([helper, np.zeros_like(helper), 1 - helper]).astype(np.float32)
    side = normalize(np.cross(a, n, axis=0))
    return side, np.cross(n, side, axis=0)


def bounce(p: Array, ray: Array, hit: Array) -> Array:
    """Return the light (3, n) that comes back along rays: the room's, or a neighbour's colour."""
    light = room(ray)
    at = np.flatnonzero(np.isfinite(hit))
    if at.size:
        spot = p[:, at] + ray[:, at] * hit[at]
        kind = scene_parts(spot).argmin(axis=0)
        # Neighbours are lit about half as brightly as open surfaces, dimmer in the crevices.
        light[:, at] = MEAN_COLOUR[:, kind] * (0.20 + 0.75 * np.clip(hit[at] / 2.5, 0, 1))
    return light


def key_light(s: Surface, pick: Array) -> Array:
    """Return diffuse light (3, n) from one point of the soft box, chosen by pick (2, n) in 0..1."""
    u, v = 2 * pick - 1
    target = LIGHT_CENTRE[:, None] + LIGHT_U[:, None] * u + LIGHT_V[:, None] * v
    ray = normalize(target - s.point)
    facing = np.maximum(dot(ray, s.normal), 0)
    light = np.zeros_like(facing)
    at = np.flatnonzero(facing > 0)
    start = s.point[:, at] + s.normal[:, at] * np.float32(0.03)
    clear = ~np.isfinite(trace(start, ray[:, at], 0.02, 24.0, 40))
    light[at] = clear * facing[at]
    return light * LIGHT_COLOUR * np.float32(0.112)


def fill_light(s: Surface, pick: Array) -> Array:
    """Return diffuse light (3, n) from one direction of the sky, chosen by pick (2, n) in 0..1."""
    side, other = basis(s.normal)
    radius, angle = np.sqrt(pick[0]), 2 * np.pi * pick[1]
    ray = side * (radius * np.cos(angle)) + other * (radius * np.sin(angle))
    ray = normalize(ray + s.normal * np.sqrt(1 - pick[0])).astype(np.float32)
    start = s.point + s.normal * np.float32(0.03)
    return bounce(start, ray, trace(start, ray, 0.02, 10.0, 24))


def shine(s: Surface, view: Array, pick: Array) -> Array:
    """Return the light (3, n) mirrored towards the eye by the glossy coat."""
    jitter = (pick[:3] - 0.5) * (2.2 * s.rough)
    half = normalize(s.normal + jitter)
    ray = normalize(view - 2 * dot(view, half) * half)
    facing = np.clip(-dot(view, s.normal), 0, 1)
    fresnel = 0.045 + 0.6 * (1 - facing) ** 5
    light = np.zeros_like(ray)
    at = np.flatnonzero((s.gloss > 0) & (dot(ray, s.normal) > 0))
    start = s.point[:, at] + s.normal[:, at] * np.float32(0.03)
    hit = trace(start, ray[:, at], 0.02, 10.0, 24)
    lamp = soft_box(start, ray[:, at]) * ~np.isfinite(hit)
    light[:, at] = bounce(start, ray[:, at], hit) + lamp * LIGHT_COLOUR * np.float32(2.2)
    return light * fresnel * s.gloss


# --- camera and film ------------------------------------------------------------------------------


def camera_rays(px: Array, py: Array, size: tuple[int, int], lens: Array) -> tuple[Array, Array]:
    """Return origins and directions (3, n) for pixel positions (n,) and lens samples (2, n)."""
    a, e = np.radians(CAMERA_AZIMUTH), np.radians(CAMERA_ELEVATION)
    back = np.array([np.sin(a) * np.cos(e), -np.cos(a) * np.cos(e), np.sin(e)])
    right = np.array([np.cos(a), np.sin(a), 0.0])
    up = np.cross(back, right)
    eye = np.array(CAMERA_TARGET) + CAMERA_DISTANCE * back
    width, height = size
    sx = (2 * px / width - 1) * CAMERA_TANGENT
    sy = (height - 2 * py) / width * CAMERA_TANGENT
    focus = CAMERA_DISTANCE - 1.6  # on the near side of the sausage
    radius, angle = LENS_RADIUS * np.sqrt(lens[0]), 2 * np.pi * lens[1]
    shift = right[:, None] * (radius * np.cos(angle)) + up[:, None] * (radius * np.sin(angle))
    aim = focus * (right[:, None] * sx + up[:, None] * sy - back[:, None])
    ray = normalize(aim - shift)
    return (eye[:, None] + shift).astype(np.float32), ray.astype(np.float32)


def shade(origin: Array, ray: Array, pick: Array) -> Array:
    """Return the light (3, n) along camera rays, using picks (7, n) in 0..1."""
    t = trace(origin, ray, CAMERA_DISTANCE * 0.6, CAMERA_DISTANCE * 3, 110)
    t = np.where(np.isfinite(t), t, CAMERA_DISTANCE * 3).astype(np.float32)
    s = surface_at(origin + ray * t)
    diffuse = key_light(s, pick[0:2]) + fill_light(s, pick[2:4])
    return s.colour * diffuse + shine(s, ray, pick[4:7])


def render(width: int, height: int, passes: int = PASSES) -> Array:
    """Return the image's linear light (height, width, 3), averaged over jittered passes."""
    rng = np.random.default_rng(SEED)
    # Every pixel starts somewhere else in one evenly spread sequence (Roberts' R sequence), which
    # leaves less grain than independent picks.
    root = 1.0
    for _ in range(60):
        root = (1 + root) ** (1 / 12)
    strides = root ** -np.arange(1, 12, dtype=np.float64)
    picture = np.zeros((height, width, 3), np.float32)
    for top in range(0, height, TILE_ROWS):
        rows = min(TILE_ROWS, height - top)
        py, px = (g.ravel() for g in np.mgrid[top : top + rows, 0:width])
        offset = rng.random((11, px.size))
        total = np.zeros((3, px.size), np.float32)
        for index in range(passes):
            pick = ((offset + index * strides[:, None]) % 1).astype(np.float32)
            rays = camera_rays(px + pick[0], py + pick[1], (width, height), pick[2:4])
            # One very bright sample must not leave a white dot.
            total += np.minimum(shade(*rays, pick[4:]), 4.0)
        picture[top : top + rows] = (total / passes).T.reshape(rows, width, 3)
    return picture


def develop(light: Array) -> Image.Image:
    """Turn linear light (height, width, 3) into an 8-bit image: exposure, curve, grain."""
    height, width, _ = light.shape
    y, x = np.mgrid[0:height, 0:width]
    corner = ((x / width - 0.5) ** 2 + ((y - height / 2) / width) ** 2)[..., None]
    exposed = light * (0.9 * (1 - 0.55 * corner))
    grey = exposed.mean(axis=2, keepdims=True)
    exposed = np.maximum(grey + 1.12 * (exposed - grey), 0)
    # A shoulder keeps highlights on the plate and the sausage from clipping hard.
    curved = exposed * (1 + exposed / 3.0) / (1 + exposed * 0.85)
    srgb = np.where(
        curved <= 0.0031308, 12.92 * curved, 1.055 * np.maximum(curved, 1e-6) ** (1 / 2.4) - 0.055
    )
    grain = np.random.default_rng(SEED + 1).normal(0, 0.007, (height, width, 1))
    return Image.fromarray(np.uint8(np.clip(srgb + grain, 0, 1) * 255 + 0.5))


def main() -> None:
    """Render the image and write it where the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = Path(__file__).with_name("hotdog.jpg")
    parser.add_argument("output", metavar="OUTPUT", nargs="?", type=Path, default=default)
    parser.add_argument("--width", type=int, default=640, help="pixels (default: %(default)s)")
    parser.add_argument("--height", type=int, default=480, help="pixels (default: %(default)s)")
    parser.add_argument("--passes", type=int, default=PASSES, help="samples for each pixel")
    args = parser.parse_args()
    encoded = io.BytesIO()
    picture = develop(render(args.width, args.height, args.passes))
    picture.save(encoded, "JPEG", quality=JPEG_QUALITY, optimize=True)
    args.output.write_bytes(encoded.getvalue())
    print(f"{args.output}: {args.width} x {args.height}, {len(encoded.getvalue())} bytes")


if __name__ == "__main__":
    main()
