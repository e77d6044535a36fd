//! What all charts share: the palette, dashes, markers, hatches, the font and its measures.
//!
//! Guarantees: the font is embedded, so the same text has the same width everywhere; two series never differ by
//! colour alone.

use std::sync::OnceLock;

use ab_glyph::{Font, FontRef, PxScaleFont, ScaleFont};
use plotters::style::{FontStyle, RGBColor, register_font};

/// Series that a chart can tell apart.
pub const SERIES: usize = 7;

/// Okabe and Ito 2008, told apart with every common colour blindness; the order also alternates in lightness.
const PALETTE: [RGBColor; SERIES] = [
    RGBColor(0x00, 0x72, 0xB2), // blue
    RGBColor(0xD5, 0x5E, 0x00), // vermillion
    RGBColor(0x00, 0x9E, 0x73), // bluish green
    RGBColor(0xCC, 0x79, 0xA7), // reddish purple
    RGBColor(0x22, 0x22, 0x22), // black
    RGBColor(0xE6, 0x9F, 0x00), // orange
    RGBColor(0x56, 0xB4, 0xE9), // sky blue
];

/// On, off, on, off … in pixels at 1×; empty: solid.
const DASHES: [&[f64]; SERIES] = [
    &[],
    &[7.0, 3.0],
    &[2.0, 2.0],
    &[9.0, 3.0, 2.0, 3.0],
    &[14.0, 4.0],
    &[4.0, 2.5],
    &[9.0, 2.5, 2.0, 2.5, 2.0, 2.5],
];

/// The dashes of references.
pub const REFERENCE_DASH: &[f64] = &[6.0, 4.0];
/// References.
pub const REFERENCE: RGBColor = RGBColor(0x55, 0x55, 0x55);
/// Titles and labels.
pub const INK: RGBColor = RGBColor(0x1A, 0x1A, 0x1A);
/// Subtitles and tick labels.
pub const MUTED: RGBColor = RGBColor(0x4D, 0x4D, 0x4D);
/// Grid lines.
pub const GRID: RGBColor = RGBColor(0xE4, 0xE4, 0xE4);
/// Axis lines.
pub const AXIS: RGBColor = RGBColor(0x80, 0x80, 0x80);

/// The colour of series `at`.
pub fn colour(at: usize) -> RGBColor {
    PALETTE[at % SERIES]
}

/// The dashes of series `at`.
pub fn dashes(at: usize) -> &'static [f64] {
    DASHES[at % SERIES]
}

/// The shape of a marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marker {
    /// A disc.
    Circle,
    /// A square.
    Square,
    /// A triangle that points up.
    Triangle,
    /// A square on its corner.
    Diamond,
    /// A triangle that points down.
    Down,
}

/// The marker of series `at`, and whether it is filled.
pub fn marker(at: usize) -> (Marker, bool) {
    match at % SERIES {
        0 => (Marker::Circle, true),
        1 => (Marker::Square, true),
        2 => (Marker::Triangle, true),
        3 => (Marker::Diamond, true),
        4 => (Marker::Circle, false),
        5 => (Marker::Square, false),
        _ => (Marker::Down, true),
    }
}

/// The direction of the hatch over the bars of series `at`, in pixels of rise per pixel of run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hatch {
    /// A plain fill.
    None,
    /// Rising lines.
    Rising,
    /// Level lines.
    Level,
    /// Falling lines.
    Falling,
}

/// The hatch of series `at`.
pub fn hatch(at: usize) -> Hatch {
    match at % SERIES {
        1 | 5 => Hatch::Rising,
        2 | 6 => Hatch::Level,
        3 => Hatch::Falling,
        _ => Hatch::None,
    }
}

/// The family's name.
pub const FAMILY: &str = "Inter";
/// Ascent less descent over the em, of Inter: the size that `ab_glyph` takes is this many ems.
pub const LINE_PER_EM: f64 = (1984.0 + 494.0) / 2048.0;

/// A weight of the font.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// Text.
    Regular,
    /// Titles.
    SemiBold,
}

impl Weight {
    /// The style it is registered as.
    pub fn style(self) -> FontStyle {
        match self {
            Self::Regular => FontStyle::Normal,
            Self::SemiBold => FontStyle::Bold,
        }
    }
}

static REGULAR: &[u8] = include_bytes!("../../fonts/Inter-Regular.ttf");
static SEMIBOLD: &[u8] = include_bytes!("../../fonts/Inter-SemiBold.ttf");

/// Registers the embedded fonts, once; false if they are no fonts, which a test excludes.
pub fn fonts() -> bool {
    static DONE: OnceLock<bool> = OnceLock::new();
    *DONE.get_or_init(|| {
        register_font(FAMILY, FontStyle::Normal, REGULAR).is_ok()
            && register_font(FAMILY, FontStyle::Bold, SEMIBOLD).is_ok()
    })
}

/// The font of a weight, at a size at which its em is `em` pixels; `None` if the embedded bytes are no font.
pub fn font(weight: Weight, em: f64) -> Option<PxScaleFont<&'static FontRef<'static>>> {
    static FONTS: OnceLock<Option<[FontRef<'static>; 2]>> = OnceLock::new();
    let fonts = FONTS.get_or_init(|| {
        let regular = FontRef::try_from_slice(REGULAR).ok()?;
        Some([regular, FontRef::try_from_slice(SEMIBOLD).ok()?])
    });
    let font = &fonts.as_ref()?[usize::from(weight == Weight::SemiBold)];
    Some(font.as_scaled((em * LINE_PER_EM) as f32))
}

/// The width of `text` with an em of `em` pixels.
pub fn width(text: &str, em: f64, weight: Weight) -> f64 {
    let Some(font) = font(weight, em) else { return 0.0 };
    text.chars().map(|c| f64::from(font.h_advance(font.glyph_id(c)))).sum()
}

/// `text` in lines no wider than `limit` where words allow it; a longer word stands alone. At most `lines` lines,
/// the last ending in an ellipsis if something is left out.
pub fn wrap(text: &str, em: f64, weight: Weight, limit: f64, lines: usize) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match out.last_mut() {
            Some(line) if width(&format!("{line} {word}"), em, weight) <= limit => {
                line.push(' ');
                line.push_str(word);
            }
            _ => out.push(word.to_owned()),
        }
    }
    if out.len() > lines {
        out.truncate(lines);
        if let Some(last) = out.last_mut() {
            last.push_str(" …");
        }
    }
    out.into_iter().map(|line| cut(line, em, weight, limit)).collect()
}

/// `line`, cut with an ellipsis if it is wider than `limit`.
fn cut(line: String, em: f64, weight: Weight, limit: f64) -> String {
    if width(&line, em, weight) <= limit {
        return line;
    }
    let ends: Vec<usize> = line.char_indices().map(|(at, _)| at).collect();
    // Widths grow with the length, so the longest that fits can be searched by halves.
    let fits = ends.partition_point(|end| width(&format!("{}…", &line[..*end]), em, weight) <= limit);
    format!("{}…", &line[..ends[fits.saturating_sub(1)]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn embedded_fonts_measure() {
        assert!(fonts());
        let (short, long) =
            (width("speed", 12.0, Weight::Regular), width("speed of peers", 12.0, Weight::Regular));
        assert!(short > 25.0 && short < 45.0, "{short}");
        assert!(long > 2.0 * short);
        // A glyph that the subset lacks would be drawn as a box of the width of .notdef.
        for c in "·–—×÷≥≤µ∞…±→\u{2212}".chars() {
            assert!(width(&c.to_string(), 1000.0, Weight::Regular) > 0.0, "{c}");
        }
    }

    #[test]
    fn wrapping() {
        let lines = wrap("one two three four five", 12.0, Weight::Regular, 60.0, 2);
        assert_eq!(lines.len(), 2);
        assert!(lines[1].ends_with('…'), "{lines:?}");
        assert!(wrap("Donaudampfschifffahrtsgesellschaft", 12.0, Weight::Regular, 60.0, 2)[0].ends_with('…'));
    }
}
