//! Which series to draw when there are too many to tell apart.
//!
//! Guarantees: what is kept is a full grid of fewer values on each dimension, evenly spread and with the first and
//! the last; the same input keeps the same.

use std::cmp::Reverse;

use crate::units;

/// Indices of the items to keep, at most `limit` of them unless a dimension cannot be thinned further. Each item
/// has a value on every dimension. Dimensions of numbers are thinned before those of names, as a trend can be read
/// from fewer values but a name left out is lost; among them, the one with the most values.
pub fn select(items: &[Vec<String>], limit: usize) -> Vec<usize> {
    let dimensions = items.first().map_or(0, Vec::len);
    let all: Vec<Vec<&str>> = (0..dimensions).map(|at| distinct(items, at)).collect();
    let numeric: Vec<bool> =
        all.iter().map(|values| values.iter().all(|value| units::quantity(value).is_some())).collect();
    let mut kept: Vec<usize> = all.iter().map(Vec::len).collect();
    loop {
        let chosen: Vec<Vec<&str>> =
            all.iter().zip(&kept).map(|(values, count)| spread(values, *count)).collect();
        let is_kept = |item: &[String]| {
            item.iter().zip(&chosen).all(|(value, chosen)| chosen.contains(&value.as_str()))
        };
        let indices: Vec<usize> = (0..items.len()).filter(|at| is_kept(&items[*at])).collect();
        let weight = |at: &usize| (numeric[*at], kept[*at], Reverse(*at));
        let thinnest = (0..dimensions).filter(|at| kept[*at] > 1).max_by_key(weight);
        match thinnest {
            Some(at) if indices.len() > limit.max(1) => kept[at] -= 1,
            _ => return indices,
        }
    }
}

/// True if a value that is no number is in none of the items kept.
pub fn loses_a_name(items: &[Vec<String>], kept: &[usize]) -> bool {
    let dimensions = items.first().map_or(0, Vec::len);
    (0..dimensions).any(|at| {
        let all = distinct(items, at);
        let lost = |value: &&str| !kept.iter().any(|item| items[*item].get(at).is_some_and(|v| v == value));
        all.iter().any(|value| units::quantity(value).is_none()) && all.iter().any(lost)
    })
}

/// What to say of a selection: `None` if all are shown.
pub fn note(shown: usize, all: usize, what: &str) -> Option<String> {
    (shown < all).then(|| format!("{shown} of {all} {what} shown, evenly spread; the CSV files have all."))
}

fn distinct(items: &[Vec<String>], at: usize) -> Vec<&str> {
    let mut values: Vec<&str> = Vec::new();
    for value in items.iter().filter_map(|item| item.get(at)) {
        if !values.contains(&value.as_str()) {
            values.push(value);
        }
    }
    values
}

/// `count` of `values`, the first and the last among them.
fn spread<'a>(values: &[&'a str], count: usize) -> Vec<&'a str> {
    let last = values.len().saturating_sub(1);
    match count {
        0 => Vec::new(),
        1 => values.last().copied().into_iter().collect(),
        _ => (0..count).map(|at| values[(at * last + (count - 1) / 2) / (count - 1)]).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_a_grid_with_its_corners() {
        let items: Vec<Vec<String>> =
            (0..12).flat_map(|n| ["a", "b", "c"].map(|v| vec![n.to_string(), v.to_owned()])).collect();
        let kept: Vec<String> = select(&items, 7).into_iter().map(|at| items[at].concat()).collect();
        assert_eq!(kept, ["0a", "0b", "0c", "11a", "11b", "11c"]);
        assert_eq!(select(&items, 5).len(), 3);
        assert_eq!(select(&items, 36).len(), 36);
        assert!(!loses_a_name(&items, &select(&items, 7)));
        assert!(loses_a_name(&items, &select(&items, 2)));
        assert_eq!(select(&[], 7), Vec::<usize>::new());
        let ten: Vec<Vec<String>> = (0..10).map(|n| vec![n.to_string()]).collect();
        assert_eq!(select(&ten, 4), [0, 3, 6, 9]);
    }
}
