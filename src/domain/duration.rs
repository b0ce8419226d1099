//! Durations as the wire knows them: ISO 8601, and what the Python SDK sends instead. CL-14

use chrono::{DateTime, Months, TimeDelta, Utc};

/// A non-negative duration. Years and months count by the calendar, a day is exactly 24 h. Equality is by value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IsoDuration {
    months: u32,
    microseconds: i64,
}

impl IsoDuration {
    /// P30D, the look-back when none is given. LC-RCM-03
    pub const DEFAULT_LOOK_BACK: Self = Self::days(30);

    /// A number of days of 24 h.
    pub const fn days(days: u32) -> Self {
        Self { months: 0, microseconds: days as i64 * 86_400_000_000 }
    }

    /// Whether this is longer than `days` days, counting a year as 365 and a month as 30: limits do not depend on a calendar.
    pub const fn exceeds_days(self, days: u32) -> bool {
        let nominal = (self.months / 12) as i128 * 365 + (self.months % 12) as i128 * 30;
        nominal * MICROSECONDS_PER_DAY as i128 + self.microseconds as i128 > days as i128 * MICROSECONDS_PER_DAY as i128
    }

    /// Whether it is no time at all.
    pub const fn is_zero(self) -> bool {
        self.months == 0 && self.microseconds == 0
    }

    /// Whether it is made of years, months and days alone.
    pub const fn is_whole_days(self) -> bool {
        self.microseconds % MICROSECONDS_PER_DAY == 0
    }

    /// The instant this long before `instant`; the earliest representable one when it would lie before that.
    pub fn before(self, instant: DateTime<Utc>) -> DateTime<Utc> {
        instant
            .checked_sub_months(Months::new(self.months))
            .and_then(|at| at.checked_sub_signed(TimeDelta::microseconds(self.microseconds)))
            .unwrap_or(DateTime::<Utc>::MIN_UTC)
    }

    /// The instant this long after `instant`; the latest representable one when it would lie after that.
    pub fn after(self, instant: DateTime<Utc>) -> DateTime<Utc> {
        instant
            .checked_add_months(Months::new(self.months))
            .and_then(|at| at.checked_add_signed(TimeDelta::microseconds(self.microseconds)))
            .unwrap_or(DateTime::<Utc>::MAX_UTC)
    }
}

/// Text that is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an ISO 8601 duration such as P30D")]
pub struct InvalidDuration(pub String);

const MICROSECONDS_PER_SECOND: i64 = 1_000_000;
const MICROSECONDS_PER_DAY: i64 = 86_400 * MICROSECONDS_PER_SECOND;

impl std::str::FromStr for IsoDuration {
    type Err = InvalidDuration;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if text.starts_with('P') { iso(text) } else { python(text) }.ok_or_else(|| InvalidDuration(text.to_owned()))
    }
}

/// `PnYnMnWnDTnHnMnS`; designators once each and in this order, a fraction only on seconds.
fn iso(text: &str) -> Option<IsoDuration> {
    let (date, time) = match text.strip_prefix('P')?.split_once('T') {
        Some((_, "")) => return None,
        Some((date, time)) => (date, time),
        None => (text.strip_prefix('P')?, ""),
    };
    if date.is_empty() && time.is_empty() {
        return None;
    }
    let mut months: i64 = 0;
    let mut microseconds: i64 = 0;
    for (amount, unit) in parts(date, "YMWD")? {
        let whole = amount.parse::<u32>().ok()?;
        match unit {
            'Y' => months = months.checked_add(i64::from(whole) * 12)?,
            'M' => months = months.checked_add(i64::from(whole))?,
            'W' => {
                microseconds = microseconds.checked_add((i64::from(whole) * 7).checked_mul(MICROSECONDS_PER_DAY)?)?
            }
            _ => microseconds = microseconds.checked_add(i64::from(whole).checked_mul(MICROSECONDS_PER_DAY)?)?,
        }
    }
    for (amount, unit) in parts(time, "HMS")? {
        let part = match unit {
            'H' => i64::from(amount.parse::<u32>().ok()?).checked_mul(3_600 * MICROSECONDS_PER_SECOND)?,
            'M' => i64::from(amount.parse::<u32>().ok()?).checked_mul(60 * MICROSECONDS_PER_SECOND)?,
            _ => seconds(amount)?,
        };
        microseconds = microseconds.checked_add(part)?;
    }
    Some(IsoDuration { months: u32::try_from(months).ok()?, microseconds })
}

fn parts<'a>(text: &'a str, units: &str) -> Option<Vec<(&'a str, char)>> {
    let mut rest = text;
    let mut units = units.chars();
    let mut found = Vec::new();
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let unit = rest[end..].chars().next()?;
        units.find(|candidate| *candidate == unit)?;
        found.push((&rest[..end], unit));
        rest = &rest[end + unit.len_utf8()..];
    }
    Some(found)
}

fn seconds(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if fraction.is_empty() || fraction.len() > 9 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let microseconds: i64 = format!("{fraction:0<6}")[..6].parse().ok()?;
    i64::from(whole.parse::<u32>().ok()?).checked_mul(MICROSECONDS_PER_SECOND)?.checked_add(microseconds)
}

/// `[N day[s], ]H:MM:SS[.ffffff]`, as Python prints a `timedelta`. CL-14
fn python(text: &str) -> Option<IsoDuration> {
    let (days, clock) = match text.split_once(", ") {
        Some((days, clock)) => {
            let (count, unit) = days.split_once(' ')?;
            if unit != "day" && unit != "days" {
                return None;
            }
            (count.parse::<u32>().ok()?, clock)
        }
        None => (0, text),
    };
    let mut fields = clock.split(':');
    let hours: u32 = fields.next()?.parse().ok()?;
    let minutes: u32 = fields.next()?.parse().ok()?;
    let rest = seconds(fields.next()?)?;
    if fields.next().is_some() || hours > 23 || minutes > 59 || rest >= 60 * MICROSECONDS_PER_SECOND {
        return None;
    }
    let clock = (i64::from(hours) * 3_600 + i64::from(minutes) * 60) * MICROSECONDS_PER_SECOND + rest;
    Some(IsoDuration { months: 0, microseconds: i64::from(days) * MICROSECONDS_PER_DAY + clock })
}

impl std::fmt::Display for IsoDuration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.months == 0 && self.microseconds == 0 {
            return f.write_str("PT0S");
        }
        f.write_str("P")?;
        let part = |f: &mut std::fmt::Formatter<'_>, amount: i64, unit: &str| match amount {
            0 => Ok(()),
            amount => write!(f, "{amount}{unit}"),
        };
        part(f, i64::from(self.months / 12), "Y")?;
        part(f, i64::from(self.months % 12), "M")?;
        part(f, self.microseconds / MICROSECONDS_PER_DAY, "D")?;
        let clock = self.microseconds % MICROSECONDS_PER_DAY;
        if clock == 0 {
            return Ok(());
        }
        f.write_str("T")?;
        part(f, clock / (3_600 * MICROSECONDS_PER_SECOND), "H")?;
        part(f, clock / (60 * MICROSECONDS_PER_SECOND) % 60, "M")?;
        let (whole, fraction) = (clock / MICROSECONDS_PER_SECOND % 60, clock % MICROSECONDS_PER_SECOND);
        match fraction {
            0 => part(f, whole, "S"),
            fraction => write!(f, "{whole}.{}S", format!("{fraction:06}").trim_end_matches('0')),
        }
    }
}

impl serde::Serialize for IsoDuration {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for IsoDuration {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// CL-14
    #[test]
    fn iso_and_python_spellings_of_one_length_are_equal() {
        for (left, right) in [
            ("P30D", "30 days, 0:00:00"),
            ("PT720H", "P30D"),
            ("P1D", "1 day, 0:00:00"),
            ("PT30M", "0:30:00"),
            ("P30DT1H", "30 days, 1:00:00"),
            ("P1Y", "P12M"),
            ("PT0S", "0:00:00"),
            ("P2W", "P14D"),
        ] {
            assert_eq!(left.parse::<IsoDuration>(), right.parse::<IsoDuration>(), "{left} {right}");
            assert!(left.parse::<IsoDuration>().is_ok());
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "",
            "P",
            "PT",
            "30",
            "-P30D",
            "P-3D",
            "P30",
            "PT1D",
            "P1D1Y",
            "P1.5D",
            "30.00:00:00",
            "P1DT",
            "1:60:00",
            "PT1.S",
        ] {
            assert!(text.parse::<IsoDuration>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_printed_duration_is_read_back_as_the_same_length(months in 0u32..1_000, microseconds in 0i64..10_000 * MICROSECONDS_PER_DAY) {
            let duration = IsoDuration { months, microseconds };
            prop_assert_eq!(duration.to_string().parse::<IsoDuration>(), Ok(duration));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC*") {
            let _ = text.parse::<IsoDuration>();
        }
    }
}
