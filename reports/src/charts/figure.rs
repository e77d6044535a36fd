//! A figure as data: what is drawn, before any pixel.
//!
//! Guarantees: all that a chart computes is here, so tests read numbers and not pictures; [`Figure::stray`] finds
//! any value that lies outside of its axes.

use super::scale::Axis;

/// How a series looks: an index into the palette, the dashes, the markers and the hatches of `style`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// A series of data, by its number.
    Series(usize),
    /// A limit or a reference: grey.
    Reference,
}

/// A bar from zero.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bar {
    /// Left edge on the x axis.
    pub left: f64,
    /// Right edge on the x axis.
    pub right: f64,
    /// Its value.
    pub top: f64,
}

/// A box of a distribution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// Left edge on the x axis.
    pub left: f64,
    /// Right edge on the x axis.
    pub right: f64,
    /// Where the lower whisker ends.
    pub low: f64,
    /// Lower edge of the box.
    pub lower: f64,
    /// The line in it.
    pub median: f64,
    /// Upper edge of the box.
    pub upper: f64,
    /// Where the upper whisker ends.
    pub high: f64,
}

/// What is drawn of a series. Points are (x, y); intervals are (x, low, high).
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// A line without a marker, with the dashes of its look.
    Line(Vec<(f64, f64)>),
    /// A solid line with a marker at each point.
    Marked(Vec<(f64, f64)>),
    /// Markers alone.
    Dots(Vec<(f64, f64)>),
    /// A light band.
    Band(Vec<(f64, f64, f64)>),
    /// Error bars.
    Whiskers(Vec<(f64, f64, f64)>),
    /// Bars.
    Bars(Vec<Bar>),
    /// Boxes with whiskers.
    Boxes(Vec<Spread>),
    /// A vertical line over the whole panel.
    Vertical(f64),
}

impl Shape {
    /// Every (x, y) it has.
    pub fn points(&self) -> Vec<(f64, f64)> {
        match self {
            Self::Line(points) | Self::Marked(points) | Self::Dots(points) => points.clone(),
            Self::Band(spans) | Self::Whiskers(spans) => {
                spans.iter().flat_map(|(x, low, high)| [(*x, *low), (*x, *high)]).collect()
            }
            Self::Bars(bars) => bars
                .iter()
                .flat_map(|bar| [(bar.left, 0.0), (bar.left, bar.top), (bar.right, bar.top)])
                .collect(),
            Self::Boxes(boxes) => boxes
                .iter()
                .flat_map(|b| {
                    let spine = [b.low, b.lower, b.median, b.upper, b.high];
                    spine.into_iter().flat_map(|y| [(b.left, y), (b.right, y)])
                })
                .collect(),
            Self::Vertical(_) => Vec::new(),
        }
    }
}

/// A shape with its look.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// How it looks.
    pub look: Look,
    /// What it is.
    pub shape: Shape,
}

impl Mark {
    /// A mark of series number `at`.
    pub fn series(at: usize, shape: Shape) -> Self {
        Self { look: Look::Series(at), shape }
    }

    /// A mark of the reference look.
    pub fn reference(shape: Shape) -> Self {
        Self { look: Look::Reference, shape }
    }
}

/// How an entry of the legend is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Swatch {
    /// A piece of the line with its dashes.
    Line,
    /// A piece of line with a marker.
    Marked,
    /// A marker.
    Dot,
    /// A filled box.
    Box,
}

/// An entry of the legend.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its text.
    pub label: String,
    /// Whose it is.
    pub look: Look,
    /// What is drawn beside the text.
    pub swatch: Swatch,
}

/// A plot with its own y axis; the x axis is the figure's.
#[derive(Clone, Debug, PartialEq)]
pub struct Panel {
    /// The y axis.
    pub y: Axis,
    /// What is drawn, in order: the later over the earlier.
    pub marks: Vec<Mark>,
}

/// A chart, ready to be drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// What is shown.
    pub title: String,
    /// The scenario's facts, and what a reader has to know; each string starts a line.
    pub subtitle: Vec<String>,
    /// The x axis of all panels.
    pub x: Axis,
    /// One or more, from top to bottom; none: there is no data, and `subtitle` says why.
    pub panels: Vec<Panel>,
    /// The legend; it is drawn only if it has more than one entry.
    pub legend: Vec<Entry>,
}

impl Figure {
    /// A figure that says that there is nothing to show, and why.
    pub fn empty(title: impl Into<String>, subtitle: Vec<String>, why: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            subtitle,
            x: Axis::categories(why, Vec::new()),
            panels: Vec::new(),
            legend: Vec::new(),
        }
    }

    /// The first value that lies outside of its axes or is not finite: there must be none.
    pub fn stray(&self) -> Option<(f64, f64)> {
        self.panels.iter().find_map(|panel| {
            let points = panel.marks.iter().flat_map(|mark| mark.shape.points());
            let verticals = panel.marks.iter().filter_map(|mark| match mark.shape {
                Shape::Vertical(x) => Some((x, panel.y.low)),
                _ => None,
            });
            points.chain(verticals).find(|(x, y)| !(self.x.holds(*x) && panel.y.holds(*y)))
        })
    }
}
