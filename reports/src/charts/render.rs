//! From a [`Figure`] to the bytes of an SVG or a PNG.
//!
//! Guarantees: the same figure gives the same bytes; the title, the subtitle, the legend and the plots have each
//! their own part of the sheet, so no text lies over data.

use plotters::backend::{BitMapBackend, DrawingBackend, SVGBackend};
use plotters::drawing::{DrawingArea, IntoDrawingArea};
use plotters::style::{RGBColor, WHITE};

use super::canvas::{Anchor, Canvas, Drawn, FINE, TextMode, Type};
use super::figure::{Entry, Figure, Look, Mark, Panel, Shape, Spread, Swatch};
use super::scale::Axis;
use super::style::{self, Weight};

/// Width of every figure, pixels at 1×.
pub const WIDTH: f64 = 860.0;
const MARGIN: f64 = 24.0;
const TITLE: f64 = 18.0;
const SMALL: f64 = 12.0;
const LABEL: f64 = 12.5;
const LEADING: f64 = 17.0;
/// Height of the plots alone: one panel, and each of several.
const TALL: f64 = 320.0;
const SHORT: f64 = 185.0;
/// Above a panel, for the name of its y axis.
const HEAD: f64 = 40.0;
const LEGEND_WIDTH: f64 = 200.0;
const LEGEND_LEADING: f64 = 15.0;
const LEGEND_GAP: f64 = 8.0;
const SWATCH: f64 = 26.0;

/// A box lower or narrower than this has no room for a line in another colour: its median is a dot.
const THIN: f64 = 8.0;
/// Width of that dot.
const DOT: f64 = 7.0;

/// Where the parts of a figure are.
struct Layout {
    title: Vec<String>,
    subtitle: Vec<String>,
    legend: Vec<Vec<String>>,
    top: f64,
    left: f64,
    right: f64,
    panel: f64,
    height: f64,
}

impl Layout {
    fn of(figure: &Figure) -> Self {
        let across = WIDTH - 2.0 * MARGIN;
        let title = style::wrap(&figure.title, TITLE, Weight::SemiBold, across, 2);
        let subtitle: Vec<String> = figure
            .subtitle
            .iter()
            .flat_map(|line| style::wrap(line, SMALL, Weight::Regular, across, 3))
            .collect();
        let legend: Vec<Vec<String>> = match figure.legend.len() {
            0 | 1 => Vec::new(),
            _ => figure.legend.iter().map(|entry| wrap_label(&entry.label)).collect(),
        };
        let text = |lines: &[String]| {
            lines.iter().map(|line| style::width(line, SMALL, Weight::Regular)).fold(0.0, f64::max)
        };
        let legend_width = legend.iter().map(|lines| text(lines)).fold(0.0, f64::max);
        let side = if legend.is_empty() { 12.0 } else { legend_width + SWATCH + 30.0 };
        let ticks = figure.panels.iter().flat_map(|panel| &panel.y.ticks);
        let tick = ticks.map(|(_, label)| style::width(label, SMALL, Weight::Regular)).fold(20.0, f64::max);
        let top = MARGIN + title.len() as f64 * 23.0 + subtitle.len() as f64 * LEADING + 10.0;
        let panel = if figure.panels.len() > 1 { SHORT } else { TALL };
        let x_lines = figure.x.ticks.iter().map(|(_, label)| label.lines().count()).max().unwrap_or(1);
        let foot = 28.0 + x_lines as f64 * LEADING + MARGIN;
        let height = top + figure.panels.len().max(1) as f64 * (panel + HEAD) + foot;
        let listed: f64 = legend.iter().map(|lines| lines.len() as f64 * LEGEND_LEADING + LEGEND_GAP).sum();
        let height = height.max(top + HEAD + listed + MARGIN);
        let (left, right) = (MARGIN + tick + 8.0, WIDTH - MARGIN - side);
        Self { title, subtitle, legend, top, left, right, panel, height: height.ceil() }
    }

    /// Top and bottom of panel number `at`.
    fn span(&self, at: usize) -> (f64, f64) {
        let top = self.top + HEAD + at as f64 * (self.panel + HEAD);
        (top, top + self.panel)
    }
}

/// A label of the legend in lines, at least one.
fn wrap_label(label: &str) -> Vec<String> {
    let label = if label.trim().is_empty() { "–" } else { label };
    style::wrap(label, SMALL, Weight::Regular, LEGEND_WIDTH, 4)
}

/// The figure as SVG text: drawn at 4×, shown at 1×.
pub fn svg(figure: &Figure) -> Result<String, String> {
    style::fonts();
    let layout = Layout::of(figure);
    let (width, height) = (WIDTH as u32, layout.height as u32);
    let fine = (width * FINE as u32, height * FINE as u32);
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, fine).into_drawing_area();
        draw(&area, TextMode::Text, figure, &layout)?;
        area.present().map_err(|e| e.to_string())?;
    }
    let asked = format!("<svg width=\"{}\" height=\"{}\"", fine.0, fine.1);
    // Where Inter is not installed, the viewer's own sans serif is close enough.
    let family = format!("font-family=\"{}, Helvetica, Arial, sans-serif\"", style::FAMILY);
    Ok(text
        .replacen(&asked, &format!("<svg width=\"{width}\" height=\"{height}\""), 1)
        .replace(&format!("font-family=\"{}\"", style::FAMILY), &family)
        .replace("font-weight=\"bold\"", "font-weight=\"600\""))
}

/// The figure as a PNG of twice its size: drawn at 4×, each 2 × 2 pixels averaged.
pub fn png(figure: &Figure) -> Result<Vec<u8>, String> {
    style::fonts();
    let layout = Layout::of(figure);
    let (width, height) = (WIDTH as usize * 2, layout.height as usize * 2);
    let mut fine = vec![255u8; width * 2 * height * 2 * 3];
    {
        let size = (width as u32 * 2, height as u32 * 2);
        let area = BitMapBackend::with_buffer(&mut fine, size).into_drawing_area();
        draw(&area, TextMode::Glyphs, figure, &layout)?;
        area.present().map_err(|e| e.to_string())?;
    }
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width as u32, height as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Best);
    encoder.set_filter(png::FilterType::NoFilter);
    // 144 pixels an inch: the picture is shown at its 1× size by whoever reads this.
    encoder.set_pixel_dims(Some(png::PixelDimensions { xppu: 5669, yppu: 5669, unit: png::Unit::Meter }));
    let mut writer = encoder.write_header().map_err(|e| e.to_string())?;
    writer.write_image_data(&halved(&fine, width, height)).map_err(|e| e.to_string())?;
    writer.finish().map_err(|e| e.to_string())?;
    Ok(bytes)
}

/// An RGB picture of `width` × `height` from one of twice that size, by averaging.
fn halved(fine: &[u8], width: usize, height: usize) -> Vec<u8> {
    let row = width * 2 * 3;
    let mut out = Vec::with_capacity(width * height * 3);
    for pair in fine.chunks_exact(row * 2).take(height) {
        for x in 0..width {
            for channel in 0..3 {
                let at = x * 6 + channel;
                let sum: u32 =
                    [at, at + 3, row + at, row + at + 3].iter().map(|at| u32::from(pair[*at])).sum();
                out.push(((sum + 2) / 4) as u8);
            }
        }
    }
    out
}

fn draw<B: DrawingBackend>(
    area: &DrawingArea<B, plotters::coord::Shift>,
    text: TextMode,
    figure: &Figure,
    layout: &Layout,
) -> Drawn {
    let canvas = Canvas::new(area, text);
    canvas.clear(WHITE)?;
    let mut y = MARGIN + TITLE * 0.8;
    for line in &layout.title {
        let look = Type { em: TITLE, weight: Weight::SemiBold, colour: style::INK, anchor: Anchor::Left };
        canvas.text(line, (MARGIN, y), look)?;
        y += 23.0;
    }
    for line in &layout.subtitle {
        canvas.text(line, (MARGIN, y), small(style::MUTED, Anchor::Left))?;
        y += LEADING;
    }
    if figure.panels.is_empty() {
        return nothing(&canvas, figure, layout);
    }
    for (at, panel) in figure.panels.iter().enumerate() {
        let (top, bottom) = layout.span(at);
        let frame = Frame { x: &figure.x, y: &panel.y, left: layout.left, right: layout.right, top, bottom };
        draw_panel(&canvas, &frame, panel, at + 1 == figure.panels.len())?;
    }
    draw_legend(&canvas, figure, layout)
}

fn small(colour: RGBColor, anchor: Anchor) -> Type {
    Type { em: SMALL, weight: Weight::Regular, colour, anchor }
}

fn nothing<B: DrawingBackend>(canvas: &Canvas<'_, B>, figure: &Figure, layout: &Layout) -> Drawn {
    let (top, bottom) = layout.span(0);
    let (left, right, middle) = (MARGIN, WIDTH - MARGIN, (top + bottom) / 2.0);
    let frame = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)];
    canvas.line(&frame, style::GRID, 1.0, &[])?;
    let look = Type { em: 15.0, weight: Weight::SemiBold, colour: style::MUTED, anchor: Anchor::Middle };
    canvas.text("No data", (WIDTH / 2.0, middle - 8.0), look)?;
    canvas.text(&figure.x.label, (WIDTH / 2.0, middle + 14.0), small(style::MUTED, Anchor::Middle))
}

/// A panel's place on the sheet and its axes.
struct Frame<'a> {
    x: &'a Axis,
    y: &'a Axis,
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

impl Frame<'_> {
    fn x(&self, x: f64) -> f64 {
        self.left + self.x.place(x) * (self.right - self.left)
    }

    fn y(&self, y: f64) -> f64 {
        self.bottom - self.y.place(y) * (self.bottom - self.top)
    }

    fn at(&self, (x, y): (f64, f64)) -> (f64, f64) {
        (self.x(x), self.y(y))
    }
}

fn draw_panel<B: DrawingBackend>(
    canvas: &Canvas<'_, B>,
    frame: &Frame<'_>,
    panel: &Panel,
    last: bool,
) -> Drawn {
    for (tick, label) in &frame.y.ticks {
        let y = frame.y(*tick);
        canvas.line(&[(frame.left, y), (frame.right, y)], style::GRID, 1.0, &[])?;
        canvas.text(label, (frame.left - 8.0, y + SMALL * 0.36), small(style::MUTED, Anchor::Right))?;
    }
    for (tick, _) in frame.x.ticks.iter().filter(|_| frame.x.grid) {
        canvas.line(&[(frame.x(*tick), frame.top), (frame.x(*tick), frame.bottom)], style::GRID, 1.0, &[])?;
    }
    for mark in &panel.marks {
        draw_mark(canvas, frame, mark)?;
    }
    canvas.line(&[(frame.left, frame.bottom), (frame.right, frame.bottom)], style::AXIS, 1.0, &[])?;
    let heading = Type { em: LABEL, weight: Weight::SemiBold, colour: style::INK, anchor: Anchor::Left };
    canvas.text(&frame.y.label, (MARGIN, frame.top - 14.0), heading)?;
    x_ticks(canvas, frame, last)?;
    if last {
        let lines = frame.x.ticks.iter().map(|(_, label)| label.lines().count()).max().unwrap_or(1);
        let y = frame.bottom + 22.0 + lines as f64 * LEADING;
        let look = Type { anchor: Anchor::Right, ..heading };
        canvas.text(&frame.x.label, (frame.right, y), look)?;
    }
    Ok(())
}

/// Tick marks of the x axis and, under the last panel, their labels; one that would touch the one before is left
/// out.
fn x_ticks<B: DrawingBackend>(canvas: &Canvas<'_, B>, frame: &Frame<'_>, labelled: bool) -> Drawn {
    let mut free = f64::NEG_INFINITY;
    for (tick, label) in &frame.x.ticks {
        let x = frame.x(*tick);
        canvas.line(&[(x, frame.bottom), (x, frame.bottom + 4.0)], style::AXIS, 1.0, &[])?;
        let widths = label.lines().map(|line| style::width(line, SMALL, Weight::Regular));
        let half = widths.fold(0.0, f64::max) / 2.0;
        if !labelled || x - half < free {
            continue;
        }
        free = x + half + 6.0;
        for (at, line) in label.lines().enumerate() {
            let y = frame.bottom + 18.0 + at as f64 * LEADING;
            canvas.text(line, (x, y), small(style::MUTED, Anchor::Middle))?;
        }
    }
    Ok(())
}

fn colour(look: Look) -> RGBColor {
    match look {
        Look::Series(at) => style::colour(at),
        Look::Reference => style::REFERENCE,
    }
}

fn dashes(look: Look) -> &'static [f64] {
    match look {
        Look::Series(at) => style::dashes(at),
        Look::Reference => style::REFERENCE_DASH,
    }
}

fn marker(look: Look) -> (style::Marker, bool) {
    match look {
        Look::Series(at) => style::marker(at),
        Look::Reference => (style::Marker::Circle, false),
    }
}

fn draw_mark<B: DrawingBackend>(canvas: &Canvas<'_, B>, frame: &Frame<'_>, mark: &Mark) -> Drawn {
    let ink = colour(mark.look);
    let place =
        |points: &[(f64, f64)]| -> Vec<(f64, f64)> { points.iter().map(|point| frame.at(*point)).collect() };
    match &mark.shape {
        Shape::Line(points) => {
            let width = if mark.look == Look::Reference { 1.5 } else { 2.0 };
            canvas.line(&place(points), ink, width, dashes(mark.look))
        }
        Shape::Marked(points) => {
            canvas.line(&place(points), ink, 2.0, &[])?;
            place(points).into_iter().try_for_each(|at| canvas.marker(at, marker(mark.look), ink, 8.0))
        }
        Shape::Dots(points) => {
            place(points).into_iter().try_for_each(|at| canvas.marker(at, marker(mark.look), ink, 8.0))
        }
        Shape::Band(spans) => {
            let low = spans.iter().map(|(x, low, _)| frame.at((*x, *low)));
            let high = spans.iter().rev().map(|(x, _, high)| frame.at((*x, *high)));
            canvas.polygon(&low.chain(high).collect::<Vec<_>>(), ink, 0.16)
        }
        Shape::Whiskers(spans) => spans.iter().try_for_each(|(x, low, high)| {
            let ink = if matches!(mark.look, Look::Reference) { style::INK } else { ink };
            let (x, low, high) = (frame.x(*x), frame.y(*low), frame.y(*high));
            canvas.line(&[(x, low), (x, high)], ink, 1.25, &[])?;
            canvas.line(&[(x - 3.5, low), (x + 3.5, low)], ink, 1.25, &[])?;
            canvas.line(&[(x - 3.5, high), (x + 3.5, high)], ink, 1.25, &[])
        }),
        Shape::Bars(bars) => bars.iter().try_for_each(|bar| {
            canvas.bar(frame.at((bar.left, bar.top)), frame.at((bar.right, 0.0)), ink, hatch(mark.look))
        }),
        Shape::Boxes(boxes) => boxes.iter().try_for_each(|spread| draw_box(canvas, frame, spread, mark.look)),
        Shape::Vertical(x) => {
            let x = frame.x(*x);
            canvas.line(&[(x, frame.bottom), (x, frame.top)], ink, 1.25, dashes(mark.look))
        }
    }
}

fn draw_box<B: DrawingBackend>(
    canvas: &Canvas<'_, B>,
    frame: &Frame<'_>,
    spread: &Spread,
    look: Look,
) -> Drawn {
    let (left, right) = (frame.x(spread.left), frame.x(spread.right));
    let middle = (left + right) / 2.0;
    let (low, high) = (frame.y(spread.low), frame.y(spread.high));
    canvas.line(&[(middle, low), (middle, high)], colour(look), 1.5, &[])?;
    canvas.bar((left, frame.y(spread.upper)), (right, frame.y(spread.lower)), colour(look), hatch(look))?;
    for (y, half, width) in [(low, 3.5, 1.5), (high, 3.5, 1.5)] {
        canvas.line(&[(middle - half, y), (middle + half, y)], colour(look), width, &[])?;
    }
    let median = frame.y(spread.median);
    if (frame.y(spread.lower) - frame.y(spread.upper)).abs() < THIN || right - left < THIN {
        // However low the box, its colour is seen on both sides of the dot.
        canvas.line(&[(left, median), (right, median)], colour(look), 4.0, &[])?;
        return canvas.marker((middle, median), (style::Marker::Circle, false), style::INK, DOT);
    }
    // White around the median, or it would not be seen in a dark box.
    canvas.line(&[(left, median), (right, median)], WHITE, 4.0, &[])?;
    canvas.line(&[(left, median), (right, median)], style::INK, 2.0, &[])
}

fn hatch(look: Look) -> style::Hatch {
    if let Look::Series(at) = look { style::hatch(at) } else { style::Hatch::None }
}

fn draw_legend<B: DrawingBackend>(canvas: &Canvas<'_, B>, figure: &Figure, layout: &Layout) -> Drawn {
    let left = layout.right + 24.0;
    let mut y = layout.span(0).0 + 6.0;
    for (entry, lines) in figure.legend.iter().zip(&layout.legend) {
        draw_swatch(canvas, entry, (left, y))?;
        for (at, line) in lines.iter().enumerate() {
            let at = (left + SWATCH + 8.0, y + SMALL * 0.36 + at as f64 * LEGEND_LEADING);
            canvas.text(line, at, small(style::INK, Anchor::Left))?;
        }
        y += lines.len() as f64 * LEGEND_LEADING + LEGEND_GAP;
    }
    Ok(())
}

fn draw_swatch<B: DrawingBackend>(canvas: &Canvas<'_, B>, entry: &Entry, (x, y): (f64, f64)) -> Drawn {
    let ink = colour(entry.look);
    let line = [(x, y), (x + SWATCH, y)];
    let middle = (x + SWATCH / 2.0, y);
    match entry.swatch {
        Swatch::Line => canvas.line(&line, ink, 2.0, dashes(entry.look)),
        Swatch::Marked => {
            canvas.line(&line, ink, 2.0, &[])?;
            canvas.marker(middle, marker(entry.look), ink, 8.0)
        }
        Swatch::Dot => canvas.marker(middle, marker(entry.look), ink, 8.0),
        Swatch::Box => canvas.bar((x + 2.0, y - 7.0), (x + SWATCH - 2.0, y + 7.0), ink, hatch(entry.look)),
    }
}
