# SPDX-License-Identifier: MIT
"""Pictures for the book, as SVG: tools/mkfigures and bench/figures.py draw with it. They carry
their own background and follow the reader's light or dark setting."""
import html
import os

STYLE = """
  .bg { fill: #ffffff } text { fill: #1c2430; font: 13px sans-serif }
  .t { font-weight: bold; font-size: 14px } .s { font-size: 11.5px; fill: #55606e } .m { text-anchor: middle }
  .box { stroke-width: 1.3; rx: 7 } .guest { fill: #e8f1fb; stroke: #3b78b8 } .dom0 { fill: #fdf1dc; stroke: #b8862f }
  .hv { fill: #e4f3e6; stroke: #3d8a4a } .hw { fill: #eeeeef; stroke: #83888f } .in { fill: #ffffff; stroke: #9aa3ad }
  .mem { fill: #f5e9f7; stroke: #8d5a9b }
  .a { stroke: #1c2430; stroke-width: 1.5; fill: none; marker-end: url(#p) } .d { stroke-dasharray: 5 4 }
  .p { fill: #1c2430 } .n { fill: #c2412d } .nt { fill: #ffffff; font-weight: bold; font-size: 12px; text-anchor: middle }
  @media (prefers-color-scheme: dark) {
    .bg { fill: #12171e } text { fill: #e4e8ed } .s { fill: #a6b0bc }
    .guest { fill: #18304a; stroke: #6aa5e0 } .dom0 { fill: #40321a; stroke: #d9a84f } .hv { fill: #1c3a22; stroke: #6cc07b }
    .hw { fill: #2a2e34; stroke: #8e949c } .in { fill: #1d232b; stroke: #6f7a86 } .mem { fill: #3a2441; stroke: #c58fd3 }
    .a { stroke: #e4e8ed } .p { fill: #e4e8ed } .n { fill: #e0604c } .nt { fill: #ffffff }
  }
"""


class Figure:
    def __init__(self, name, width, height, title):
        self.name, self.width, self.height, self.title = name, width, height, title
        self.parts = []

    def box(self, kind, x, y, w, h, title="", *lines, middle=True):
        self.parts.append(f'<rect class="box {kind}" x="{x}" y="{y}" width="{w}" height="{h}" rx="7"/>')
        tx, cls = (x + w / 2, " m") if middle else (x + 12, "")
        for i, line in enumerate((title, *lines)):
            if line:
                kind_of = "t" if i == 0 else "s"
                alone = middle and not lines
                self.text(tx, y + h / 2 + 5 if alone else y + 20 + 16 * i, line, kind_of + cls)

    def text(self, x, y, text, cls=""):
        self.parts.append(f'<text class="{cls}" x="{x:g}" y="{y:g}">{html.escape(text)}</text>')

    def arrow(self, *points, dashed=False):
        path = "M" + " L".join(f"{x} {y}" for x, y in points)
        self.parts.append(f'<path class="a{" d" if dashed else ""}" d="{path}"/>')

    def step(self, n, x, y):
        self.parts.append(f'<circle class="n" cx="{x}" cy="{y}" r="10"/>')
        self.text(x, y + 4, str(n), "nt")

    def write(self, directory):
        svg = (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" '
               f'width="{self.width}" height="{self.height}" role="img">\n<title>{html.escape(self.title)}</title>\n'
               f'<style>{STYLE}</style>\n<defs><marker id="p" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" '
               'markerHeight="7" orient="auto-start-reverse"><path class="p" d="M0 0 L10 5 L0 10 z"/></marker></defs>\n'
               f'<rect class="bg" width="{self.width}" height="{self.height}"/>\n' + "\n".join(self.parts) + "\n</svg>\n")
        os.makedirs(directory, exist_ok=True)
        with open(os.path.join(directory, self.name + ".svg"), "w") as f:
            f.write(svg)
