//! A page of items as the function `decision_page` delivers it: column by column, each one value in which those of the items follow each
//! other. V0035

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
    NumbersAndCohorts = 1,
    Recommendations,
    PrincipalIds,
    PrincipalTypes,
    PrincipalNames,
    PrincipalDetails,
    Roles,
    Facts,
    Results,
    Decisions,
}

impl Column {
    const fn name(self) -> &'static str {
        match self {
            Self::NumbersAndCohorts => "numbers_and_cohorts",
            Self::Recommendations => "recommendations",
            Self::PrincipalIds => "principal_ids",
            Self::PrincipalTypes => "principal_types",
            Self::PrincipalNames => "principal_names",
            Self::PrincipalDetails => "principal_details",
            Self::Roles => "roles",
            Self::Facts => "facts",
            Self::Results => "results",
            Self::Decisions => "decisions",
        }
    }
}

/// Puts the items of a part of a page behind `items`.
pub(super) fn read_part(part: &PgRow, items: &mut Vec<ItemRow>) -> Result<(), StoreError> {
    let mut numbers = Values::of(part, Column::NumbersAndCohorts)?;
    let mut recommendations = Values::of(part, Column::Recommendations)?;
    let mut ids = Values::of(part, Column::PrincipalIds)?;
    let mut types = Values::of(part, Column::PrincipalTypes)?;
    let mut names = Values::of(part, Column::PrincipalNames)?;
    let mut details = Values::of(part, Column::PrincipalDetails)?;
    let mut roles = OfSome::of(part, Column::Roles, Values::role)?;
    let mut facts = OfSome::of(part, Column::Facts, Values::facts)?;
    let mut results = OfSome::of(part, Column::Results, Values::applied)?;
    let mut decisions = OfSome::of(part, Column::Decisions, Values::decision)?;
    let mut last = 0;
    while !numbers.is_empty() {
        let (seq, cohort) = (numbers.integer()?, numbers.integer()?);
        // What only some items have is found by their order.
        if seq <= last {
            return Err(corrupt("decision_items", "seq", seq));
        }
        last = seq;
        items.push(ItemRow {
            seq,
            cohort,
            principal: Principal {
                id: ids.object()?,
                kind: principal_kind(types.text()?, seq)?,
                display_name: names.text()?.to_owned(),
                detail: details.text()?.to_owned(),
            },
            app_role: roles.next_of(seq),
            recommendation: Recommendation::from_code(recommendations.small_integer()?)
                .ok_or_else(|| corrupt("decision_items", "recommendations", seq))?,
            decision: decisions.next_of(seq),
            applied: results.next_of(seq),
            facts: facts.next_of(seq).unwrap_or_default(),
        });
    }
    Ok(())
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
        found.sort_by_key(|(seq, _)| *seq);
        Ok(Self(found.into_iter().peekable()))
    }

    /// What this item has; to be asked in the order of the items.
    fn next_of(&mut self, seq: ItemSeq) -> Option<T> {
        self.0.next_if(|(next, _)| *next == seq).map(|(_, value)| value)
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

    fn small_integer(&mut self) -> Result<i16, StoreError> {
        self.bytes().map(i16::from_be_bytes)
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

    /// `decision_bytes`
    fn decision(&mut self, seq: ItemSeq) -> Result<Decision, StoreError> {
        Ok(Decision {
            verdict: Verdict::parse(self.text()?).ok_or_else(|| corrupt("decisions", "decision", seq))?,
            justification: self.text()?.to_owned(),
            decided_by: self.identity()?,
            decided_at: self.moment()?,
            moves_on: self.byte()? != 0,
        })
    }
}

fn moment(microseconds: i64) -> Option<DateTime<Utc>> {
    /// From 1970 to 2000.
    const EPOCH: i64 = 946_684_800_000_000;
    DateTime::from_timestamp_micros(microseconds.checked_add(EPOCH)?)
}
