//! Drawing in pixels at 1× with fractions, on either of the backends of plotters.
//!
//! Guarantees: plotters rounds to whole pixels, so everything is drawn at [`FINE`] times the size; lines, dashes
//! and text baselines are at the same place in SVG and PNG.

use ab_glyph::ScaleFont;
use plotters::backend::DrawingBackend;
use plotters::coord::Shift;
use plotters::drawing::DrawingArea;
use plotters::element::{Circle, PathElement, Polygon, Rectangle, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontDesc, FontFamily, RGBColor, ShapeStyle, TextStyle};

use super::style::{self, Hatch, Marker, Weight};

/// Units of the backend in a pixel.
pub const FINE: f64 = 4.0;

/// How text is put on a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextMode {
    /// As text, which the viewer sets.
    Text,
    /// As the pixels of its glyphs. Ours, because plotters leaves out the space before each glyph's outline.
    Glyphs,
}

/// Which end of a text stands at its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// The left end.
    Left,
    /// The middle.
    Middle,
    /// The right end.
    Right,
}

/// A text's look.
#[derive(Clone, Copy, Debug)]
pub struct Type {
    /// Em in pixels.
    pub em: f64,
    /// Weight.
    pub weight: Weight,
    /// Colour.
    pub colour: RGBColor,
    /// What stands at the position.
    pub anchor: Anchor,
}

/// Drawing failed: the backend's words.
pub type Drawn = Result<(), String>;

/// An area to draw on.
pub struct Canvas<'a, B: DrawingBackend> {
    area: &'a DrawingArea<B, Shift>,
    text: TextMode,
}

fn fine((x, y): (f64, f64)) -> (i32, i32) {
    ((x * FINE).round() as i32, (y * FINE).round() as i32)
}

fn stroke(colour: RGBColor, width: f64) -> ShapeStyle {
    ShapeStyle { color: colour.to_rgba(), filled: false, stroke_width: (width * FINE).round() as u32 }
}

impl<'a, B: DrawingBackend> Canvas<'a, B> {
    /// Draws on `area`, which is [`FINE`] times as large as the pixels given to the other functions.
    pub fn new(area: &'a DrawingArea<B, Shift>, text: TextMode) -> Self {
        Self { area, text }
    }

    /// Fills the whole area.
    pub fn clear(&self, colour: RGBColor) -> Drawn {
        self.area.fill(&colour).map_err(|e| e.to_string())
    }

    /// A line through `points`; `dashes` in pixels, empty for a solid one.
    pub fn line(&self, points: &[(f64, f64)], colour: RGBColor, width: f64, dashes: &[f64]) -> Drawn {
        for piece in dashed(points, dashes) {
            let mut path: Vec<(i32, i32)> = piece.into_iter().map(fine).collect();
            path.dedup();
            if path.len() > 1 {
                self.area.draw(&PathElement::new(path, stroke(colour, width))).map_err(|e| e.to_string())?;
            }
        }
        Ok(())
    }

    /// A filled polygon of the given opacity.
    pub fn polygon(&self, points: &[(f64, f64)], colour: RGBColor, opacity: f64) -> Drawn {
        let mut path: Vec<(i32, i32)> = points.iter().copied().map(fine).collect();
        path.dedup();
        if path.len() < 3 {
            return Ok(());
        }
        self.area.draw(&Polygon::new(path, colour.mix(opacity))).map_err(|e| e.to_string())
    }

    /// A filled rectangle with a hatch of white lines.
    pub fn bar(&self, corner: (f64, f64), opposite: (f64, f64), colour: RGBColor, hatch: Hatch) -> Drawn {
        let fill = ShapeStyle { color: colour.to_rgba(), filled: true, stroke_width: 0 };
        self.area.draw(&Rectangle::new([fine(corner), fine(opposite)], fill)).map_err(|e| e.to_string())?;
        let (left, right) = (corner.0.min(opposite.0), corner.0.max(opposite.0));
        let (top, bottom) = (corner.1.min(opposite.1), corner.1.max(opposite.1));
        for (a, b) in hatching(hatch, left, right, top, bottom) {
            self.line(&[a, b], plotters::style::WHITE, 0.75, &[])?;
        }
        Ok(())
    }

    /// A marker about `size` pixels wide.
    pub fn marker(
        &self,
        (x, y): (f64, f64),
        (marker, filled): (Marker, bool),
        colour: RGBColor,
        size: f64,
    ) -> Drawn {
        let r = size / 2.0;
        let corners: &[(f64, f64)] = match marker {
            Marker::Circle => &[],
            Marker::Square => &[(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)],
            Marker::Triangle => &[(0.0, -1.2), (1.1, 0.8), (-1.1, 0.8)],
            Marker::Down => &[(0.0, 1.2), (1.1, -0.8), (-1.1, -0.8)],
            Marker::Diamond => &[(0.0, -1.3), (1.3, 0.0), (0.0, 1.3), (-1.3, 0.0)],
        };
        if corners.is_empty() {
            return self.disc((x, y), r, colour, filled);
        }
        let mut path: Vec<(f64, f64)> = corners.iter().map(|(dx, dy)| (x + dx * r, y + dy * r)).collect();
        self.polygon(&path, if filled { colour } else { plotters::style::WHITE }, 1.0)?;
        path.push(path[0]);
        path.push(path[1]);
        self.line(
            &path,
            if filled { plotters::style::WHITE } else { colour },
            if filled { 0.5 } else { 1.5 },
            &[],
        )
    }

    fn disc(&self, centre: (f64, f64), r: f64, colour: RGBColor, filled: bool) -> Drawn {
        let disc = |r: f64, colour: RGBColor| {
            let fill = ShapeStyle { color: colour.to_rgba(), filled: true, stroke_width: 0 };
            self.area
                .draw(&Circle::new(fine(centre), (r * FINE).round() as i32, fill))
                .map_err(|e| e.to_string())
        };
        if filled {
            disc(r + 0.25, plotters::style::WHITE)?;
            return disc(r, colour);
        }
        disc(r + 0.25, colour)?;
        disc(r - 1.25, plotters::style::WHITE)
    }

    /// A line of text whose baseline is at `at.1`.
    pub fn text(&self, text: &str, at: (f64, f64), look: Type) -> Drawn {
        match self.text {
            TextMode::Text => self.set_text(text, at, look),
            TextMode::Glyphs => self.draw_glyphs(text, at, look),
        }
    }

    fn set_text(&self, text: &str, at: (f64, f64), look: Type) -> Drawn {
        // plotters-svg writes size / 1.24 as the font size, and 0.76 em as the way down to the baseline.
        let size = look.em * FINE * 1.24;
        let anchor = match look.anchor {
            Anchor::Left => HPos::Left,
            Anchor::Middle => HPos::Center,
            Anchor::Right => HPos::Right,
        };
        let font = FontDesc::new(FontFamily::Name(style::FAMILY), size, look.weight.style());
        let style = TextStyle::from(font).color(&look.colour).pos(Pos::new(anchor, VPos::Top));
        let at = fine((at.0, at.1 - 0.76 * look.em));
        self.area.draw(&Text::new(text, at, style)).map_err(|e| e.to_string())
    }

    fn draw_glyphs(&self, text: &str, at: (f64, f64), look: Type) -> Drawn {
        let Some(font) = style::font(look.weight, look.em * FINE) else { return Ok(()) };
        let width = style::width(text, look.em, look.weight);
        let left = match look.anchor {
            Anchor::Left => at.0,
            Anchor::Middle => at.0 - width / 2.0,
            Anchor::Right => at.0 - width,
        };
        let mut pen = (left * FINE) as f32;
        for c in text.chars() {
            let mut glyph = font.scaled_glyph(c);
            glyph.position = ab_glyph::point(pen, (at.1 * FINE) as f32);
            pen += font.h_advance(glyph.id);
            let Some(outline) = font.outline_glyph(glyph) else { continue };
            let corner = outline.px_bounds().min;
            let mut drawn = Ok(());
            outline.draw(|x, y, cover| {
                let at = (corner.x as i32 + x as i32, corner.y as i32 + y as i32);
                if drawn.is_ok() && cover > 0.0 {
                    drawn = self.area.draw_pixel(at, &look.colour.mix(f64::from(cover.min(1.0))));
                }
            });
            drawn.map_err(|e| e.to_string())?;
        }
        Ok(())
    }
}

/// The pieces of a polyline that dashes leave.
fn dashed(points: &[(f64, f64)], dashes: &[f64]) -> Vec<Vec<(f64, f64)>> {
    if dashes.is_empty() || points.len() < 2 {
        return vec![points.to_vec()];
    }
    let mut pieces = vec![vec![points[0]]];
    let (mut at, mut left, mut on) = (0, dashes[0], true);
    for pair in points.windows(2) {
        let (mut from, to) = (pair[0], pair[1]);
        loop {
            let (dx, dy) = (to.0 - from.0, to.1 - from.1);
            let length = (dx * dx + dy * dy).sqrt();
            if length < left {
                left -= length;
                if let (true, Some(piece)) = (on, pieces.last_mut()) {
                    piece.push(to);
                }
                break;
            }
            from = (from.0 + dx * left / length, from.1 + dy * left / length);
            match pieces.last_mut() {
                Some(piece) if on => piece.push(from),
                _ => pieces.push(vec![from]),
            }
            at = (at + 1) % dashes.len();
            on = !on;
            left = dashes[at];
        }
    }
    pieces
}

/// A line from one point to another.
type Segment = ((f64, f64), (f64, f64));

/// The lines of a hatch within a rectangle.
fn hatching(hatch: Hatch, left: f64, right: f64, top: f64, bottom: f64) -> Vec<Segment> {
    const GAP: f64 = 5.0;
    let (width, height) = (right - left, bottom - top);
    match hatch {
        Hatch::None => Vec::new(),
        Hatch::Level => (1..=(height / GAP) as u32)
            .map(|n| bottom - f64::from(n) * GAP)
            .map(|y| ((left, y), (right, y)))
            .collect(),
        Hatch::Rising | Hatch::Falling => {
            let gap = GAP * 1.4;
            let lines = ((width + height) / gap) as u32;
            // Line n cuts the left and the lower edge n gaps from their corner, or leaves by the others.
            let cut = |n: u32| {
                let d = f64::from(n) * gap;
                let (a, b) = ((d - height).max(0.0), d.min(height));
                let (c, e) = (d.min(width), (d - width).max(0.0));
                ((a, b), (c, e))
            };
            let place = |(x, y): (f64, f64)| match hatch {
                Hatch::Falling => (left + x, bottom - y),
                _ => (left + x, top + y),
            };
            (1..=lines).map(cut).map(|(from, to)| (place(from), place(to))).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dashes_keep_to_their_lengths() {
        let pieces = dashed(&[(0.0, 0.0), (4.0, 0.0), (10.0, 0.0)], &[5.0, 3.0]);
        assert_eq!(pieces, [vec![(0.0, 0.0), (4.0, 0.0), (5.0, 0.0)], vec![(8.0, 0.0), (10.0, 0.0)]]);
        assert_eq!(dashed(&[(0.0, 0.0), (9.0, 0.0)], &[]).len(), 1);
    }

    #[test]
    fn hatches_stay_inside() {
        for hatch in [Hatch::Rising, Hatch::Level, Hatch::Falling] {
            let lines = hatching(hatch, 10.0, 30.0, 5.0, 105.0);
            assert!(lines.len() > 5);
            let inside = |(x, y): (f64, f64)| (10.0..=30.0).contains(&x) && (5.0..=105.0).contains(&y);
            assert!(lines.iter().all(|(a, b)| inside(*a) && inside(*b)), "{hatch:?} {lines:?}");
        }
    }
}
