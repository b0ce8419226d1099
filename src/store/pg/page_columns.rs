//! A page of items as the function `decision_page` delivers it: column by column, each one value in which those of the items follow each
//! other. V0038

use std::{iter::Peekable, vec};

use chrono::{DateTime, Utc};
use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

use super::{error::corrupt, items::principal_kind};
use crate::{
    domain::{
        apply::{Applied, ApplyResult},
        decision::{Decision, Verdict},
        definition::Identity,
        ids::{ItemSeq, ObjectId},
        insight::{LastSignIn, ShownFacts},
        recommendation::Recommendation,
    },
    store::{GrantedRole, ItemRow, Principal, StoreError},
};

/// What stands behind the instance in the type `page_part`, in its order.
#[derive(Clone, Copy)]
enum Column {
    NumbersAndRecommendations = 1,
    PrincipalIds,
    PrincipalTypes,
    PrincipalNames,
    PrincipalDetails,
    Roles,
    Facts,
    Results,
    DecidedNumbers,
    Verdicts,
    Justifications,
    DeciderIds,
    DeciderNames,
    DeciderUserPrincipalNames,
    DecisionTimes,
}

impl Column {
    const fn name(self) -> &'static str {
        match self {
            Self::NumbersAndRecommendations => "numbers_and_recommendations",
            Self::PrincipalIds => "principal_ids",
            Self::PrincipalTypes => "principal_types",
            Self::PrincipalNames => "principal_names",
            Self::PrincipalDetails => "principal_details",
            Self::Roles => "roles",
            Self::Facts => "facts",
            Self::Results => "results",
            Self::DecidedNumbers => "decided_numbers",
            Self::Verdicts => "verdicts",
            Self::Justifications => "justifications",
            Self::DeciderIds => "decider_ids",
            Self::DeciderNames => "decider_names",
            Self::DeciderUserPrincipalNames => "decider_user_principal_names",
            Self::DecisionTimes => "decision_times",
        }
    }
}

/// Puts the items of a part of a page behind `items`. `false`, and `items` are not what they should be, where a text has in it what
/// stands between texts.
pub(super) fn read_part(part: &PgRow, items: &mut Vec<ItemRow>) -> Result<bool, StoreError> {
    let mut numbers = Values::of(part, Column::NumbersAndRecommendations)?;
    let mut ids = Values::of(part, Column::PrincipalIds)?;
    let mut types = Texts::of(part, Column::PrincipalTypes)?;
    let mut names = Texts::of(part, Column::PrincipalNames)?;
    let mut details = Texts::of(part, Column::PrincipalDetails)?;
    let mut roles = OfSome::of(part, Column::Roles, Values::role)?;
    let mut facts = OfSome::of(part, Column::Facts, Values::facts)?;
    let mut results = OfSome::of(part, Column::Results, Values::applied)?;
    let Some(mut decisions) = decisions(part)? else { return Ok(false) };
    let mut last = 0;
    while !numbers.is_empty() {
        let (seq, recommendation) = (numbers.integer()?, numbers.integer()?);
        // What only some items have is found by their order.
        if seq <= last {
            return Err(corrupt("decision_items", "seq", seq));
        }
        last = seq;
        items.push(ItemRow {
            seq,
            principal: Principal {
                id: ids.object()?,
                kind: principal_kind(types.next()?, seq)?,
                display_name: names.next()?.to_owned(),
                detail: details.next()?.to_owned(),
            },
            app_role: roles.next_of(seq),
            recommendation: i16::try_from(recommendation)
                .ok()
                .and_then(Recommendation::from_code)
                .ok_or_else(|| corrupt("decision_items", "recommendations", seq))?,
            decision: decisions.next_of(seq),
            applied: results.next_of(seq),
            facts: facts.next_of(seq).unwrap_or_default(),
        });
    }
    Ok(names.are_read() && details.are_read())
}

/// The decisions of a part; `None` where a text has in it what stands between texts.
fn decisions(part: &PgRow) -> Result<Option<OfSome<Decision>>, StoreError> {
    let mut numbers = Values::of(part, Column::DecidedNumbers)?;
    let mut verdicts = Texts::of(part, Column::Verdicts)?;
    let mut justifications = Texts::of(part, Column::Justifications)?;
    let mut ids = Values::of(part, Column::DeciderIds)?;
    let mut names = Texts::of(part, Column::DeciderNames)?;
    let mut user_principal_names = Texts::of(part, Column::DeciderUserPrincipalNames)?;
    let mut times = Values::of(part, Column::DecisionTimes)?;
    let mut found = Vec::with_capacity(numbers.rest.len() / size_of::<i64>());
    while !numbers.is_empty() {
        let (seq, moves_on) = (numbers.integer()?, numbers.integer()? != 0);
        let decision = Decision {
            verdict: Verdict::parse(verdicts.next()?).ok_or_else(|| corrupt("decisions", "decision", seq))?,
            justification: justifications.next()?.to_owned(),
            decided_by: Identity {
                id: ids.object()?,
                display_name: names.next()?.to_owned(),
                user_principal_name: user_principal_names.next()?.to_owned(),
            },
            decided_at: times.moment()?,
            moves_on,
        };
        found.push((seq, decision));
    }
    let are_read = justifications.are_read() && names.are_read() && user_principal_names.are_read();
    Ok(are_read.then(|| OfSome::sorted(found)))
}

/// What some items have, by their numbers.
struct OfSome<T>(Peekable<vec::IntoIter<(ItemSeq, T)>>);

impl<T> OfSome<T> {
    fn of<'r>(
        part: &'r PgRow,
        column: Column,
        read: fn(&mut Values<'r>, ItemSeq) -> Result<T, StoreError>,
    ) -> Result<Self, StoreError> {
        let mut values = Values::of(part, column)?;
        let mut found = Vec::new();
        while !values.is_empty() {
            let seq = values.integer()?;
            found.push((seq, read(&mut values, seq)?));
        }
        Ok(Self::sorted(found))
    }

    fn sorted(mut found: Vec<(ItemSeq, T)>) -> Self {
        found.sort_by_key(|(seq, _)| *seq);
        Self(found.into_iter().peekable())
    }

    /// What this item has; to be asked in the order of the items.
    fn next_of(&mut self, seq: ItemSeq) -> Option<T> {
        self.0.next_if(|(next, _)| *next == seq).map(|(_, value)| value)
    }
}

/// The texts of a column that are still to be read.
struct Texts<'r> {
    column: Column,
    /// `None` behind the last one.
    rest: Option<&'r str>,
}

impl<'r> Texts<'r> {
    /// Between two texts. One that has it in itself reads as two, so that one too many is there.
    const BETWEEN: char = '\u{1f}';

    fn of(part: &'r PgRow, column: Column) -> Result<Self, StoreError> {
        Ok(Self { column, rest: part.try_get_unchecked(column as usize)? })
    }

    fn next(&mut self) -> Result<&'r str, StoreError> {
        let rest = self.rest.ok_or_else(|| corrupt("decision_page", self.column.name(), "too few"))?;
        let (text, rest) = rest.split_once(Self::BETWEEN).map_or((rest, None), |(text, rest)| (text, Some(rest)));
        self.rest = rest;
        Ok(text)
    }

    fn are_read(&self) -> bool {
        self.rest.is_none()
    }
}

/// The values of a column that are still to be read.
struct Values<'r> {
    column: Column,
    rest: &'r [u8],
}

impl<'r> Values<'r> {
    fn of(part: &'r PgRow, column: Column) -> Result<Self, StoreError> {
        let rest: Option<&[u8]> = part.try_get_unchecked(column as usize)?;
        Ok(Self { column, rest: rest.unwrap_or_default() })
    }

    fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    fn corrupt(&self) -> StoreError {
        corrupt("decision_page", self.column.name(), self.rest.len())
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], StoreError> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or_else(|| self.corrupt())?;
        self.rest = rest;
        Ok(*bytes)
    }

    fn byte(&mut self) -> Result<u8, StoreError> {
        self.bytes().map(|[byte]| byte)
    }

    fn integer(&mut self) -> Result<i32, StoreError> {
        self.bytes().map(i32::from_be_bytes)
    }

    fn object(&mut self) -> Result<ObjectId, StoreError> {
        self.bytes().map(|bytes| ObjectId::new(Uuid::from_bytes(bytes)))
    }

    /// Up to its zero, or to the end of the last one.
    fn text(&mut self) -> Result<&'r str, StoreError> {
        let (text, rest) = match self.rest.iter().position(|byte| *byte == 0) {
            Some(end) => (&self.rest[..end], &self.rest[end + 1..]),
            None => (self.rest, [].as_slice()),
        };
        let text = std::str::from_utf8(text).map_err(|_| self.corrupt())?;
        self.rest = rest;
        Ok(text)
    }

    /// Microseconds since the beginning of 2000; the smallest and the greatest number are the infinities.
    fn microseconds(&mut self) -> Result<i64, StoreError> {
        self.bytes().map(i64::from_be_bytes)
    }

    fn moment(&mut self) -> Result<DateTime<Utc>, StoreError> {
        let microseconds = self.microseconds()?;
        moment(microseconds).ok_or_else(|| self.corrupt())
    }

    fn sign_in(&mut self) -> Result<Option<LastSignIn>, StoreError> {
        match self.microseconds()? {
            i64::MAX => Ok(None),
            i64::MIN => Ok(Some(LastSignIn::Never)),
            at => moment(at).map(|at| Some(LastSignIn::At(at))).ok_or_else(|| self.corrupt()),
        }
    }

    fn identity(&mut self) -> Result<Identity, StoreError> {
        Ok(Identity {
            id: self.object()?,
            display_name: self.text()?.to_owned(),
            user_principal_name: self.text()?.to_owned(),
        })
    }

    /// `role_bytes`
    fn role(&mut self, _: ItemSeq) -> Result<GrantedRole, StoreError> {
        Ok(GrantedRole { id: self.object()?, display_name: self.text()?.to_owned() })
    }

    /// `facts_bytes`
    fn facts(&mut self, _: ItemSeq) -> Result<ShownFacts, StoreError> {
        Ok(ShownFacts {
            tenant_sign_in: self.sign_in()?,
            application_sign_in: self.sign_in()?,
            is_outlier: match self.byte()? {
                0 => Some(false),
                1 => Some(true),
                _ => None,
            },
        })
    }

    /// `result_bytes`
    fn applied(&mut self, seq: ItemSeq) -> Result<Applied, StoreError> {
        Ok(Applied {
            result: ApplyResult::parse(self.text()?).ok_or_else(|| corrupt("apply_results", "result", seq))?,
            description: match self.byte()? {
                0 => None,
                _ => Some(self.text()?.to_owned()),
            },
            by: self.identity()?,
            at: self.moment()?,
        })
    }
}

fn moment(microseconds: i64) -> Option<DateTime<Utc>> {
    /// From 1970 to 2000.
    const EPOCH: i64 = 946_684_800_000_000;
    DateTime::from_timestamp_micros(microseconds.checked_add(EPOCH)?)
}
