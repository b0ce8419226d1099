//! When occurrences start and end. LC-REC-01 to 09
//!
//! Everything is counted in UTC. A `recurrenceTimeZone` is stored and answered, and does not move the dates.

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, TimeDelta, Utc};

use crate::domain::{
    definition::{PatternKind, RangeKind, Recurrence, RecurrencePattern, RecurrenceRange},
    violation::Violation,
};

/// Longest `interval`, in weeks or months: a century of months.
pub const MAX_INTERVAL: i32 = 1_200;
/// Months after which the calendar repeats.
const CALENDAR_CYCLE_MONTHS: u32 = 4_800;

impl Recurrence {
    /// The pattern and range of a series; `None` for a one-time review. LC-REC-01
    pub fn series(&self) -> Option<(&RecurrencePattern, &RecurrenceRange)> {
        self.pattern.as_ref().zip(self.range.as_ref())
    }
}

impl RecurrenceRange {
    /// The last date on which an occurrence may start, if the range ends by date; inclusive. LC-REC-07, M-28
    pub fn last_date(&self) -> Option<NaiveDate> {
        match self.kind {
            RangeKind::EndDate => self.end_date,
            RangeKind::Numbered if self.number_of_occurrences == 0 => self.end_date,
            RangeKind::Numbered | RangeKind::NoEnd => None,
        }
    }

    /// How many occurrences there are, if the range ends by number. LC-REC-07
    pub fn occurrences(&self) -> Option<u32> {
        match self.kind {
            RangeKind::Numbered => u32::try_from(self.number_of_occurrences).ok().filter(|count| *count > 0),
            RangeKind::EndDate | RangeKind::NoEnd => None,
        }
    }
}

/// When the first occurrence starts: on its date at the creation's time of day, and at once when that date is today or past.
/// LC-REC-03 to 06
pub fn first_start(recurrence: Option<&Recurrence>, created_at: DateTime<Utc>) -> DateTime<Utc> {
    let Some(range) = recurrence.and_then(|recurrence| recurrence.range.as_ref()) else {
        return created_at;
    };
    let day = match recurrence.and_then(|recurrence| recurrence.pattern.as_ref()) {
        Some(RecurrencePattern { kind: PatternKind::AbsoluteMonthly, day_of_month, .. }) => {
            first_with_day(range.start_date, *day_of_month)
        }
        Some(RecurrencePattern { kind: PatternKind::Weekly, .. }) | None => Some(range.start_date),
    };
    match day {
        Some(day) if day > created_at.date_naive() => day.and_time(created_at.time()).and_utc(),
        Some(_) => created_at,
        // beyond the calendar: never
        None => DateTime::<Utc>::MAX_UTC,
    }
}

/// The first date not before `start` with that day of the month, or the last day of a month too short for it. LC-REC-06, M-26
fn first_with_day(start: NaiveDate, day_of_month: i32) -> Option<NaiveDate> {
    let Some(day) = u32::try_from(day_of_month).ok().filter(|day| *day > 0) else {
        return Some(start);
    };
    let this_month = clamped(start.year(), start.month(), day)?;
    if this_month >= start {
        return Some(this_month);
    }
    let next = start.with_day(1)?.checked_add_months(Months::new(1))?;
    clamped(next.year(), next.month(), day)
}

fn clamped(year: i32, month: u32, day: u32) -> Option<NaiveDate> {
    (28..=day.clamp(28, 31)).rev().find_map(|last| NaiveDate::from_ymd_opt(year, month, day.min(last)))
}

/// What is wrong with a recurrence whose first occurrence starts at `first_start`: the review would never run, or not for one
/// instant. LC-REC-07, LC-REC-08
///
/// The last day on which an occurrence may start has to be reached; a one-time review without a duration (`total_days` is 0) ends
/// on its end date at 00:00, which has to come after its start, or it would be closed before anybody could answer.
pub fn check_first_start(
    recurrence: Option<&Recurrence>,
    first_start: DateTime<Utc>,
    total_days: u32,
) -> Option<Violation> {
    let recurrence = recurrence?;
    let range = recurrence.range.as_ref()?;
    // an end before the start date is told by itself
    let last = range.last_date().filter(|last| *last >= range.start_date)?;
    let first = first_start.date_naive();
    let text = match recurrence.pattern {
        Some(_) if last < first => {
            format!("no occurrence would ever start: the first one would on {first}, and {last} is before that")
        }
        None if total_days == 0 && last > range.start_date && last <= first => {
            format!("must be after {first}, when the review starts, because it ends on that date at 00:00")
        }
        Some(_) | None => return None,
    };
    Some(Violation::new("settings.recurrence.range.endDate", text))
}

/// From where the occurrences of a review are counted: one starts at this instant, the others whole intervals from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// Its number. Below zero when a series left slots out before it was resumed.
    pub occurrence: i32,
    /// UTC.
    pub start_at: DateTime<Utc>,
}

/// When occurrence `k` (from 0) starts; `None` when the range has no such occurrence. LC-REC-06, LC-REC-07
///
/// Counted from the first start, so nothing drifts: after a short month the day of the first start, or `dayOfMonth` when the
/// first start fell on it, comes back.
pub fn occurrence_start(recurrence: Option<&Recurrence>, first_start: DateTime<Utc>, k: u32) -> Option<DateTime<Utc>> {
    let anchor = Anchor { occurrence: 0, start_at: first_start };
    occurrence_start_from(recurrence, anchor, i32::try_from(k).ok()?)
}

/// The same, counted from any occurrence. The range's number counts from the first one all the same.
pub fn occurrence_start_from(
    recurrence: Option<&Recurrence>,
    anchor: Anchor,
    occurrence: i32,
) -> Option<DateTime<Utc>> {
    let Some((pattern, range)) = recurrence.and_then(Recurrence::series) else {
        return (occurrence == 0 && anchor.occurrence == 0).then_some(anchor.start_at);
    };
    if range.occurrences().is_some_and(|count| i64::from(occurrence) >= i64::from(count)) {
        return None;
    }
    let steps = u32::try_from(i64::from(occurrence) - i64::from(anchor.occurrence)).ok()?;
    let start_at = slot(pattern, anchor.start_at, steps)?;
    if range.last_date().is_some_and(|last| start_at.date_naive() > last) {
        return None;
    }
    Some(start_at)
}

/// The instant `steps` intervals after `from`; `None` beyond the calendar.
fn slot(pattern: &RecurrencePattern, from: DateTime<Utc>, steps: u32) -> Option<DateTime<Utc>> {
    let day = match pattern.kind {
        PatternKind::Weekly => 0,
        PatternKind::AbsoluteMonthly => anchor_day(from.date_naive(), pattern.day_of_month),
    };
    slot_on(pattern, from, steps, day)
}

/// The same, aiming at a day of the month.
fn slot_on(pattern: &RecurrencePattern, from: DateTime<Utc>, steps: u32, day: u32) -> Option<DateTime<Utc>> {
    let units = u32::try_from(pattern.interval).ok()?.checked_mul(steps)?;
    let from_day = from.date_naive();
    let day = match pattern.kind {
        PatternKind::Weekly => from_day.checked_add_days(Days::new(u64::from(units) * 7))?,
        PatternKind::AbsoluteMonthly => months_after(from_day, units, day)?,
    };
    Some(day.and_time(from.time()).and_utc())
}

/// Counts on in the same slots, so that `next` takes the first one that is not before `earliest`: slots in between are left
/// out, not made up. `None` beyond the calendar. LC-REC-05, A-19
pub fn resumed(pattern: &RecurrencePattern, anchor: Anchor, next: i32, earliest: DateTime<Utc>) -> Option<Anchor> {
    let least = u32::try_from(i64::from(next) - i64::from(anchor.occurrence)).unwrap_or(0);
    let steps = least.max(steps_certainly_before(pattern, anchor.start_at, earliest));
    let taken = (steps..)
        .map_while(|steps| Some((steps, slot(pattern, anchor.start_at, steps)?)))
        .find(|(_, start_at)| *start_at >= earliest);
    let (steps, _) = taken?;
    let occurrence = i32::try_from(i64::from(next) - i64::from(steps)).ok()?;
    Some(Anchor { occurrence, start_at: anchor.start_at })
}

/// Begins a new count: `next` takes the first slot of this pattern, at least one interval after `from`, that is not before
/// `earliest`. `None` beyond the calendar. LC-DEF-22
pub fn recounted(
    pattern: &RecurrencePattern,
    from: DateTime<Utc>,
    next: i32,
    earliest: DateTime<Utc>,
) -> Option<Anchor> {
    let day = u32::try_from(pattern.day_of_month).ok().filter(|day| *day > 0).unwrap_or(from.day());
    (steps_certainly_before(pattern, from, earliest).max(1)..)
        .map_while(|steps| slot_on(pattern, from, steps, day))
        .find(|start_at| *start_at >= earliest)
        .map(|start_at| Anchor { occurrence: next, start_at })
}

/// So many intervals after `from` it is not yet `earliest`, however long the months are.
fn steps_certainly_before(pattern: &RecurrencePattern, from: DateTime<Utc>, earliest: DateTime<Utc>) -> u32 {
    let longest = match pattern.kind {
        PatternKind::Weekly => 7,
        // aiming at another day of the month adds less than a month, once
        PatternKind::AbsoluteMonthly => 31,
    } * i64::from(pattern.interval.max(1));
    u32::try_from((earliest - from).num_days() / longest - 2).unwrap_or(0)
}

/// The day of the month that occurrences aim at: `dayOfMonth` when the first start fell on it (perhaps cut short by a short
/// month), else the first start's own day, because a start date in the past makes the day of creation the first start.
fn anchor_day(first_day: NaiveDate, day_of_month: i32) -> u32 {
    u32::try_from(day_of_month)
        .ok()
        .filter(|day| *day > 0 && clamped(first_day.year(), first_day.month(), *day) == Some(first_day))
        .unwrap_or(first_day.day())
}

fn months_after(from: NaiveDate, months: u32, day: u32) -> Option<NaiveDate> {
    let month = from.with_day(1)?.checked_add_months(Months::new(months))?;
    clamped(month.year(), month.month(), day)
}

/// When an instance that starts at `start` is scheduled to end. LC-REC-08
///
/// A one-time review without a duration ends on its range's end date at 00:00, and never before it starts.
pub fn instance_end(start: DateTime<Utc>, total_days: u32, recurrence: Option<&Recurrence>) -> DateTime<Utc> {
    if total_days > 0 {
        return start.checked_add_signed(TimeDelta::days(i64::from(total_days))).unwrap_or(DateTime::<Utc>::MAX_UTC);
    }
    recurrence
        .and_then(|recurrence| recurrence.range.as_ref())
        .and_then(RecurrenceRange::last_date)
        .and_then(|day| day.and_hms_opt(0, 0, 0))
        .map_or(start, |midnight| midnight.and_utc().max(start))
}

/// The shortest time between two consecutive starts, in days: what one occurrence may last. LC-REC-09
///
/// Taken over the whole calendar, not only from the start date on, because a start date that has passed makes the day of
/// creation the first start. One month is 28 days, three are 89, six are 181.
pub fn shortest_gap_days(pattern: &RecurrencePattern) -> u32 {
    let Ok(interval) = u32::try_from(pattern.interval) else {
        return 0;
    };
    match pattern.kind {
        PatternKind::Weekly => interval.saturating_mul(7),
        // from another day of the month the shortest run of months is not shorter; the property tests agree
        PatternKind::AbsoluteMonthly => (0..CALENDAR_CYCLE_MONTHS)
            .filter_map(|month| {
                let epoch = NaiveDate::from_ymd_opt(2000, 1, 1)?;
                let from = months_after(epoch, month, 1)?;
                let to = months_after(from, interval, 1)?;
                u32::try_from((to - from).num_days()).ok()
            })
            .min()
            .unwrap_or(0),
    }
}

#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;
