//! The claims, one function for each scenario.

use record::Run;

use super::measure::{growth, last_time, leechers, mean_time, ratio_sum, speed, unaccounted, uploads};
use super::stats::{Interval, mean};
use super::study::{Bench, Point, Runs, StudyError, points};
use super::{Finding, Row, rounds as broadcast};

type Changes<'a> = &'a [(&'a str, &'a str)];
type Rows = Result<Vec<Row>, StudyError>;

const ISSUE: &str = "expected of a swarm";
const KUMAR_ROSS: &str = "Kumar, Ross 2006";

/// The first point, of which `of` is true.
fn find<'a>(all: &'a [Runs], what: &str, of: impl Fn(&Runs) -> bool) -> Result<&'a Runs, StudyError> {
    all.iter().find(|runs| of(runs)).ok_or_else(|| StudyError::Missing(what.to_string()))
}

/// The point that has this value on some axis.
fn at<'a>(all: &'a [Runs], value: &str) -> Result<&'a Runs, StudyError> {
    find(all, value, |runs| runs.values.iter().any(|of| of == value))
}

fn each(runs: &Runs, measure: impl Fn(&Run) -> f64) -> Vec<f64> {
    runs.runs.iter().map(measure).collect()
}

fn least(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

fn most(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

fn with(changes: Changes<'_>, more: &[(&'static str, &'static str)]) -> Vec<(String, String)> {
    changes.iter().chain(more).map(|(key, value)| ((*key).to_string(), (*value).to_string())).collect()
}

fn points_with(
    name: &str,
    changes: Changes<'_>,
    more: &[(&'static str, &'static str)],
) -> Result<Vec<Point>, StudyError> {
    let owned = with(changes, more);
    let sets: Vec<(&str, &str)> = owned.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    points(name, &sets)
}

/// One seed, then a second and a third peer.
pub(super) fn three_friends(bench: &Bench<'_>, changes: Changes<'_>) -> Rows {
    let served_by_two = bench.run("three-friends", points_with("three-friends", changes, &[])?)?;
    let alone = points_with("three-friends", changes, &[("groups.second.leave", "on-completion")])?;
    let served_by_one = bench.run("three-friends, control", alone)?;
    let test = |all: &[Runs]| {
        let ratios: Vec<f64> = all
            .iter()
            .flat_map(|runs| each(runs, |run| speed(run, &["third"]) / speed(run, &["second"])))
            .collect();
        let measured = format!("{:.3} ({:.3} to {:.3})", mean(&ratios), least(&ratios), most(&ratios));
        Finding::plain(measured, ratios.iter().all(|ratio| (1.8..=2.1).contains(ratio)))
    };
    Ok(vec![Row {
        id: "three-friends/ratio",
        source: ISSUE,
        claim: "the third, served by two, downloads about twice as fast as the second did",
        threshold: "ratio of speeds 1.8 to 2.1 in every run",
        found: test(&served_by_two),
        control: "the second leaves as soon as it is done",
        control_found: test(&served_by_one),
    }])
}

/// Swarm sizes, beside client-server.
pub(super) fn swarm_scaling(bench: &Bench<'_>, changes: Changes<'_>) -> Rows {
    let (swarm, server): (Vec<Point>, Vec<Point>) = points_with("swarm-scaling", changes, &[])?
        .into_iter()
        .partition(|point| point.values.iter().any(|value| value == "swarm"));
    // Nothing is left to chance with one server: one run is enough.
    let server = Bench { seeds: 1, ..*bench }.run("swarm-scaling, client-server", server)?;
    let swarm = bench.run("swarm-scaling", swarm)?;
    let common = |id, claim, threshold, found, control, control_found| {
        let source = if id == "swarm-scaling/bound" { KUMAR_ROSS } else { ISSUE };
        Row { id, source, claim, threshold, found, control, control_found }
    };
    Ok(vec![
        common(
            "swarm-scaling/level",
            "a download gets hardly slower as the swarm grows",
            "mean speed from 30 leechers on at least 0.75 of that of 30",
            level(&swarm),
            "client-server",
            level(&server),
        ),
        common(
            "swarm-scaling/client-server",
            "a server that serves all at once gives each 1/N",
            "N times the speed is the same within 10 %",
            inverse(&server),
            "the swarm",
            inverse(&swarm),
        ),
        common(
            "swarm-scaling/bound",
            "no swarm is faster than its uplinks together",
            "last completion at least the bound in every run",
            bound_kept(&swarm, 1.0),
            "a bound that is twice as high",
            bound_kept(&swarm, 2.0),
        ),
        common(
            "swarm-scaling/near-bound",
            "from 50 leechers on, the last one is done soon after the bound",
            "at most 1.4 times the bound in every run",
            near_bound(&swarm),
            "client-server",
            near_bound(&server),
        ),
    ])
}

fn count(runs: &Runs) -> u32 {
    runs.spec.groups.iter().filter(|group| !group.seed).map(|group| group.count).sum()
}

fn mean_speed(runs: &Runs) -> f64 {
    mean(&each(runs, |run| speed(run, &[])))
}

fn level(all: &[Runs]) -> Finding {
    let of_30 = all.iter().find(|runs| count(runs) == 30).map_or(f64::NAN, mean_speed);
    let shares: Vec<f64> =
        all.iter().filter(|runs| count(runs) > 30).map(|runs| mean_speed(runs) / of_30).collect();
    Finding::plain(format!("{:.3}", least(&shares)), shares.iter().all(|share| *share >= 0.75))
}

fn inverse(all: &[Runs]) -> Finding {
    let products: Vec<f64> = all.iter().map(|runs| mean_speed(runs) * f64::from(count(runs))).collect();
    let spread = most(&products) / least(&products);
    Finding::plain(format!("most over least {spread:.3}"), spread <= 1.1)
}

/// Last completion over bound, of every run of the points that `of` names.
fn over_bound(all: &[Runs], of: impl Fn(&Runs) -> bool) -> Vec<f64> {
    let over = |run: &Run| last_time(run) / run.bound.unwrap_or(f64::NAN);
    all.iter().filter(|runs| of(runs)).flat_map(|runs| each(runs, over)).collect()
}

fn bound_kept(all: &[Runs], times: f64) -> Finding {
    let over: Vec<f64> = over_bound(all, |_| true).iter().map(|over| over / times).collect();
    Finding::plain(format!("at least {:.3}", least(&over)), over.iter().all(|over| *over >= 1.0))
}

fn near_bound(all: &[Runs]) -> Finding {
    let over = over_bound(all, |runs| count(runs) >= 50);
    let measured = format!("mean {:.3}, most {:.3}", mean(&over), most(&over));
    Finding::plain(measured, over.iter().all(|over| *over <= 1.4))
}

/// More and more seeds.
pub(super) fn seed_leech_ratio(bench: &Bench<'_>, changes: Changes<'_>) -> Rows {
    let all = bench.run("seed-leech-ratio", points_with("seed-leech-ratio", changes, &[])?)?;
    let speeds: Vec<Vec<f64>> = all.iter().map(|runs| each(runs, |run| speed(run, &[]))).collect();
    let backwards: Vec<Vec<f64>> = speeds.iter().rev().cloned().collect();
    let steps = |speeds: &[Vec<f64>]| {
        let steps: Vec<Interval> =
            speeds.windows(2).map(|pair| Interval::of_pairs(&pair[0], &pair[1])).collect();
        let down = steps.iter().filter(|step| step.is_negative()).count();
        // A step down that is significant decides; that there is none, only if every step is known.
        let decided = down > 0 || steps.iter().all(|step| step.is_decided());
        Finding { measured: format!("{down} of {} steps down", steps.len()), holds: down == 0, decided }
    };
    let ends = |speeds: &[Vec<f64>]| {
        let (first, last) = (speeds.first().map_or(f64::NAN, |s| mean(s)), speeds.last().map(|s| mean(s)));
        let ratio = last.unwrap_or(f64::NAN) / first;
        Finding::plain(format!("{ratio:.2}"), ratio >= 2.0)
    };
    let control = "the same points, from many seeds to few";
    Ok(vec![
        Row {
            id: "seed-leech-ratio/steps",
            source: ISSUE,
            claim: "more seeds never make it slower",
            threshold: "no step down is significant (paired, 95 %)",
            found: steps(&speeds),
            control,
            control_found: steps(&backwards),
        },
        Row {
            id: "seed-leech-ratio/ends",
            source: ISSUE,
            claim: "two seeds for each leecher are much faster than one for fifty",
            threshold: "last point at least twice the first",
            found: ends(&speeds),
            control,
            control_found: ends(&backwards),
        },
    ])
}

/// Free riders under one choker and the other.
pub(super) fn choking_strategies(bench: &Bench<'_>, changes: Changes<'_>) -> Rows {
    let wanted = ["tit-for-tat", "unchoke-all"];
    let mut some = points_with("choking-strategies", changes, &[])?;
    some.retain(|point| point.values.iter().any(|value| wanted.contains(&value.as_str())));
    let all = bench.run("choking-strategies", some)?;
    let delay = |name: &str| -> Result<Interval, StudyError> {
        let runs = at(&all, name)?;
        let times = |group: &str| each(runs, |run| mean_time(run, &[group]));
        Ok(Interval::of_pairs(&times("medium"), &times("free-riders")))
    };
    let (reciprocal, open) = (delay("tit-for-tat")?, delay("unchoke-all")?);
    let measured = |of: Interval| format!("{:+.1} ± {:.1} s", of.mean, of.half);
    let finding = |of: Interval, holds| Finding { measured: measured(of), holds, decided: of.is_decided() };
    let late = |of: Interval| finding(of, of.is_positive());
    let not_late = |of: Interval| finding(of, !of.is_positive());
    Ok(vec![
        Row {
            id: "choking-strategies/tit-for-tat",
            source: ISSUE,
            claim: "free riders finish later than peers of the same links that share",
            threshold: "delay above zero (paired, 95 %)",
            found: late(reciprocal),
            control: "unchoke-all",
            control_found: late(open),
        },
        Row {
            id: "choking-strategies/unchoke-all",
            source: ISSUE,
            claim: "where everyone is served, free riders are not delayed",
            threshold: "no delay above zero (paired, 95 %)",
            found: not_late(open),
            control: "tit-for-tat",
            control_found: not_late(reciprocal),
        },
    ])
}

/// Who gave what.
pub(super) fn share_ratio(bench: &Bench<'_>, changes: Changes<'_>) -> Rows {
    let all = bench.run("share-ratio", points_with("share-ratio", changes, &[])?)?;
    let runs = || all.iter().flat_map(|runs| &runs.runs);
    let most_of = |measure: &dyn Fn(&Run) -> i64| runs().map(|run| measure(run).abs()).max().unwrap_or(0);
    let books = |gap: i64| Finding::plain(format!("{gap} bytes apart"), gap == 0);
    let sums = |wasted: bool| {
        let gap = runs()
            .map(|run| (ratio_sum(run, wasted) * run.content as f64 / uploads(run) - 1.0).abs())
            .fold(0.0, f64::max);
        Finding::plain(format!("{:.1e} apart", gap), gap < 1e-9)
    };
    Ok(vec![
        Row {
            id: "share-ratio/books",
            source: ISSUE,
            claim: "what is sent is received, lost with its connection, or on its way",
            threshold: "payload sent equals the sum to the byte in every run",
            found: books(most_of(&unaccounted)),
            control: "what was lost is left out",
            control_found: books(most_of(&|run| {
                unaccounted(run) + run.counters.get("payload_lost_bytes").map_or(0, |&lost| lost as i64)
            })),
        },
        Row {
            id: "share-ratio/sum",
            source: ISSUE,
            claim: "over leechers that hold everything, the ratios sum to their uploads over the content",
            threshold: "equal but for rounding in every run",
            found: sums(false),
            control: "ratios to all that was received, waste included",
            control_found: sums(true),
        },
        ratio_one(&all)?,
    ])
}

fn ratio_one(all: &[Runs]) -> Result<Row, StudyError> {
    let test = |runs: &Runs| {
        let kept = |run: &Run| {
            let content = run.content;
            leechers(run, &[]).filter(|peer| peer.left.is_some()).all(|peer| {
                let at_once = peer.left == peer.completed;
                let given = peer.uploaded;
                given >= content && (at_once || given <= content + 16 * 1024)
            })
        };
        let holds = runs.runs.iter().all(kept);
        let gone: usize =
            runs.runs.iter().map(|run| leechers(run, &[]).filter(|peer| peer.left.is_some()).count()).sum();
        let text = if holds { "all" } else { "not all" };
        Finding::plain(format!("{text} of {gone} that left"), holds && gone > 0)
    };
    Ok(Row {
        id: "share-ratio/at-ratio",
        source: ISSUE,
        claim: "who seeds to ratio 1.0 leaves with it",
        threshold: "1.0 and at most one block more, unless it had more when it completed",
        found: test(at(all, "ratio-1")?),
        control: "those who leave on completion",
        control_found: test(at(all, "on-completion")?),
    })
}

/// A crowd at once.
pub(super) fn flash_crowd(bench: &Bench<'_>, changes: Changes<'_>) -> Rows {
    // The claim is about the first minutes.
    let short = ("time-limit", "10 min");
    let crowd = bench.run("flash-crowd", points_with("flash-crowd", changes, &[short])?)?;
    let idle = [
        ("groups.crowd,latecomers.choker", "never"),
        ("groups.crowd,latecomers.seed-choker", "never"),
        short,
    ];
    let idle = bench.run("flash-crowd, control", points_with("flash-crowd", changes, &idle)?)?;
    let test = |all: &[Runs]| {
        let lines: Vec<_> =
            all.iter().flat_map(|runs| &runs.runs).map(|run| growth(run, 0.01, 0.3)).collect();
        let r2: Vec<f64> = lines.iter().flatten().map(|line| line.r2).collect();
        let slopes: Vec<f64> = lines.iter().flatten().map(|line| line.slope).collect();
        let all_grow = lines.len() == r2.len() && slopes.iter().all(|slope| *slope > 0.0);
        let measured = match r2.is_empty() {
            true => "no growth".to_string(),
            false => {
                let doubling = std::f64::consts::LN_2 / mean(&slopes);
                format!("R² at least {:.3}, doubles every {doubling:.0} s", least(&r2))
            }
        };
        Finding::plain(measured, all_grow && r2.iter().all(|r2| *r2 > 0.9))
    };
    Ok(vec![Row {
        id: "flash-crowd/growth",
        source: "Yang, de Veciana 2004",
        claim: "a flash crowd's service capacity grows exponentially at first",
        threshold: "log-linear from 1 % to 30 % of the uplinks, R² > 0.9 in every run",
        found: test(&crowd),
        control: "a crowd that never uploads",
        control_found: test(&idle),
    }])
}

/// Which piece next.
pub(super) fn piece_picking(bench: &Bench<'_>, changes: Changes<'_>) -> Rows {
    let all = bench.run("piece-picking", points_with("piece-picking", changes, &[])?)?;
    let times = |name: &str| Ok::<_, StudyError>(each(at(&all, name)?, |run| mean_time(run, &[])));
    let (rarest, random, sequential) = (times("rarest-first")?, times("random")?, times("sequential")?);
    let test = |fastest: &[f64], others: [&[f64]; 2]| {
        let gains = others.map(|other| Interval::of_pairs(fastest, other));
        Finding {
            measured: gains.map(|gain| format!("{:+.1} ± {:.1} s", gain.mean, gain.half)).join(", "),
            holds: gains.iter().all(|gain| gain.is_positive()),
            decided: gains.iter().any(|gain| gain.is_negative())
                || gains.iter().all(|gain| gain.is_decided()),
        }
    };
    Ok(vec![Row {
        id: "piece-picking/rarest-first",
        source: ISSUE,
        claim: "with a slow seed, rarest first is fastest",
        threshold: "random and sequential both take longer (paired, 95 %)",
        found: test(&rarest, [&random, &sequential]),
        control: "random in its place",
        control_found: test(&random, [&rarest, &sequential]),
    }])
}

/// The optimal broadcast: the schedule on our links, and the engine in the same setting.
pub(super) fn rounds(bench: &Bench<'_>, changes: Changes<'_>) -> Rows {
    let number = |key: &str, default: u32| {
        let change = changes.iter().find(|(of, _)| *of == key);
        change.and_then(|(_, value)| value.parse().ok()).unwrap_or(default)
    };
    let (dimensions, parts) = (number("dimensions", 10).clamp(1, 12), number("parts", 400).max(1));
    let peers = (1 << dimensions) - 1;
    let optimum = broadcast::optimum(peers, parts);
    let schedule = |latency| {
        let over = broadcast::hypercube(dimensions, parts, latency) / optimum;
        Finding::plain(format!("{over:.4} times the optimum"), (1.0..=1.01).contains(&over))
    };
    let setting = broadcast::setting(peers, parts);
    let mut faster = setting.clone();
    faster.groups.iter_mut().for_each(|group| group.up *= 4);
    let once = Bench { seeds: 1, ..*bench };
    let engine = |bench: &Bench<'_>, spec| -> Result<Finding, StudyError> {
        let runs = bench.run("rounds", vec![Point { values: Vec::new(), spec }])?;
        let over: Vec<f64> = each(&runs[0], |run| last_time(run) / optimum);
        let measured = format!("{:.3} to {:.3} times the optimum", least(&over), most(&over));
        Ok(Finding::plain(measured, over.iter().all(|over| *over >= 1.0)))
    };
    let source = "Mundinger, Weber, Weiss 2008";
    Ok(vec![
        Row {
            id: "rounds/schedule",
            source,
            claim: "the optimal schedule on our links takes F/u (1 + ⌊log2 N⌋/M)",
            threshold: "within 1 %",
            found: schedule(broadcast::LATENCY),
            control: "a latency of a tenth of a part's time",
            control_found: schedule(broadcast::LATENCY * 100),
        },
        Row {
            id: "rounds/engine",
            source,
            claim: "the engine in that setting never beats it",
            threshold: "at least the optimum in every run",
            found: engine(bench, setting)?,
            control: "uplinks four times as fast",
            control_found: engine(&once, faster)?,
        },
    ])
}
