"""Draws what the number of tenants costs, as an SVG that is readable on light and on dark pages."""

from math import ceil, floor, log10

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 360, 300, 58, 48, 44
# Hue, shape of a point: the ways must differ for those who see no hues.
WAYS = {"dense": ("#2f81f7", "circle"), "own": ("#d9730d", "square")}
STYLE = """
text { font: 12px system-ui, sans-serif; fill: #57606a }
.title { font-weight: 600 }
.grid { stroke: #8c959f; stroke-opacity: .35 }
.line { fill: none; stroke-width: 2 }
@media (prefers-color-scheme: dark) { text { fill: #9ea7b3 } }
"""


def draw(seen):
    panels = [
        ("Transactions per second", lambda it: it["tps"]),
        ("Memory of síndico and backends, MiB", lambda it: (it["sindico_kib"] + it["backends_kib"]) / 1024),
    ]
    parts = [panel(number * WIDTH, title, seen, value) for number, (title, value) in enumerate(panels)]
    size = f'viewBox="0 0 {WIDTH * len(panels)} {HEIGHT}" width="{WIDTH * len(panels)}" height="{HEIGHT}"'
    about = "Throughput and memory against the number of tenants, both axes logarithmic, for own and dense pooling"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{about}"><style>{STYLE}</style>'
    return "\n".join([head, *parts, "</svg>"]) + "\n"


def panel(shift, title, seen, value):
    across = Scale([it["tenants"] for it in seen], LEFT, WIDTH - 24)
    up = Scale([value(it) for it in seen], HEIGHT - BOTTOM, TOP)
    parts = [f'<g transform="translate({shift})">', f'<text class="title" x="{LEFT}" y="18">{title}</text>']
    for power in across.powers:
        parts.append(f'<text x="{across(10**power):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{10**power:,}</text>')
    parts.append(f'<text x="{(LEFT + WIDTH - 24) / 2:.1f}" y="{HEIGHT - 8}" text-anchor="middle">tenants</text>')
    for power in up.powers:
        y = f"{up(10**power):.1f}"
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - 24}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y}" dy="4" text-anchor="end">{10**power:,}</text>')
    for number, (way, (hue, shape)) in enumerate(WAYS.items()):
        points = [(across(it["tenants"]), up(value(it))) for it in seen if it["pooling"] == way]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline class="line" stroke="{hue}" points="{path}"/>')
        legend = (LEFT + 6 + number * 70, 32)
        parts += [point(shape, hue, *at) for at in [*points, legend]]
        parts.append(f'<text x="{legend[0] + 9}" y="36">{way}</text>')
    return "\n".join([*parts, "</g>"])


def point(shape, hue, x, y):
    if shape == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{hue}"/>'
    return f'<rect x="{x - 3.5:.1f}" y="{y - 3.5:.1f}" width="7" height="7" fill="{hue}"/>'


class Scale:
    """From a value to a coordinate, by powers of ten from below the least value to above the greatest."""

    def __init__(self, values, begin, end):
        low, high = floor(log10(min(values))), ceil(log10(max(values)))
        self.powers = range(low, max(high, low + 1) + 1)
        self.begin, self.step = begin, (end - begin) / (len(self.powers) - 1)

    def __call__(self, value):
        return self.begin + (log10(value) - self.powers[0]) * self.step
