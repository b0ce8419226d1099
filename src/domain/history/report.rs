//! The rows of a report: 30 columns in their order, guarded against spreadsheets that calculate. LC-HIST-09 to 12

use std::{borrow::Cow, sync::Arc};

use chrono::{DateTime, SecondsFormat, Utc};
use uuid::Uuid;

use crate::domain::{
    decision::Verdict,
    definition::Identity,
    ids::{DefinitionId, InstanceId, ObjectId},
    recommendation::Recommendation,
};

/// The header row. LC-HIST-09
pub const HEADER: [&str; 30] = [
    "AccessReviewId",
    "AccessReviewSeriesId",
    "ReviewType",
    "ResourceDisplayName",
    "ResourceId",
    "ReviewName",
    "CreatedDateTime",
    "ReviewStartDate",
    "ReviewEndDate",
    "ReviewStatus",
    "OwnerId",
    "OwnerName",
    "OwnerUPN",
    "PrincipalId",
    "PrincipalName",
    "PrincipalUPN",
    "PrincipalType",
    "ReviewDate",
    "ReviewResult",
    "Justification",
    "ReviewerId",
    "ReviewerName",
    "ReviewerUPN",
    "ReviewerEmailAddress",
    "AppliedByName",
    "AppliedByUPN",
    "AppliedByEmailAddress",
    "AppliedDate",
    "AccessRecommendation",
    "SubmissionResult",
];

/// So many of them are the review's.
const REVIEW_CELLS: usize = 13;

/// Characters that make a spreadsheet take a cell for a formula when it begins with them. LC-HIST-12
const FORMULA_STARTS: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// What the rows of one review have in common: its cells, made once. LC-HIST-10
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportedReview {
    pub instance_id: InstanceId,
    cells: [String; REVIEW_CELLS],
}

/// What a review is called and when it was, as its cells are made from.
#[derive(Clone, Debug, PartialEq)]
pub struct ReviewFacts {
    pub instance_id: InstanceId,
    /// The definition of a recurring review; `None` for a one-time one. LC-HIST-10
    pub series_id: Option<DefinitionId>,
    /// `type` of the resource.
    pub resource_type: String,
    pub resource_name: String,
    pub resource_id: ObjectId,
    pub review_name: String,
    /// Of the definition. UTC.
    pub created_at: DateTime<Utc>,
    /// UTC.
    pub start_at: DateTime<Utc>,
    /// UTC.
    pub end_at: DateTime<Utc>,
    /// Of the instance.
    pub status: String,
    /// Who created the definition.
    pub owner: Identity,
}

impl From<ReviewFacts> for ReportedReview {
    fn from(facts: ReviewFacts) -> Self {
        let cells = [
            facts.instance_id.to_string(),
            facts.series_id.map_or(Uuid::nil(), DefinitionId::as_uuid).to_string(),
            review_type(&facts.resource_type).to_owned(),
            facts.resource_name,
            facts.resource_id.to_string(),
            facts.review_name,
            instant(facts.created_at),
            instant(facts.start_at),
            instant(facts.end_at),
            facts.status,
            facts.owner.id.to_string(),
            facts.owner.display_name,
            facts.owner.user_principal_name,
        ];
        Self { instance_id: facts.instance_id, cells: cells.map(|cell| guarded(Cow::Owned(cell)).into_owned()) }
    }
}

/// One item with its effective decision, and the review it belongs to. LC-HIST-11
#[derive(Clone, Debug, PartialEq)]
pub struct ReportRow {
    pub review: Arc<ReportedReview>,
    pub principal_id: ObjectId,
    pub principal_name: String,
    /// User principal name of a user, application id of a service principal.
    pub principal_detail: String,
    /// `user`, `group` or `servicePrincipal`.
    pub principal_type: String,
    /// `None` is `NotReviewed`.
    pub decision: Option<ReportedDecision>,
    pub recommendation: Recommendation,
    /// What was done about the decision; `None` when nothing was.
    pub application: Option<ReportedApplication>,
}

/// A decision as it was when the report ran. LC-HIST-13
#[derive(Clone, Debug, PartialEq)]
pub struct ReportedDecision {
    pub verdict: Verdict,
    pub justification: String,
    pub decided_by: Identity,
    /// Mail address of who decided; empty when there is none.
    pub mail: String,
    /// UTC.
    pub decided_at: DateTime<Utc>,
}

/// Who applied a decision.
#[derive(Clone, Debug, PartialEq)]
pub struct ReportedApplication {
    pub applied_by: Identity,
    /// Mail address of who applied it; empty when there is none.
    pub mail: String,
    /// UTC.
    pub applied_at: DateTime<Utc>,
    /// Whether access now is as decided.
    pub succeeded: bool,
}

impl ReportedReview {
    /// The first cells in the order of [`HEADER`], guarded.
    pub fn cells(&self) -> impl Iterator<Item = &str> {
        self.cells.iter().map(String::as_str)
    }
}

impl ReportRow {
    /// The cells in the order of [`HEADER`] that follow those of the review, guarded.
    pub fn own_cells(&self) -> [Cow<'_, str>; HEADER.len() - REVIEW_CELLS] {
        fn text(cell: &str) -> Cow<'_, str> {
            guarded(Cow::Borrowed(cell))
        }
        let decision = self.decision.as_ref();
        let application = self.application.as_ref();
        let of_decision = |cell: fn(&ReportedDecision) -> &str| text(decision.map(cell).unwrap_or_default());
        let of_application = |cell: fn(&ReportedApplication) -> &str| text(application.map(cell).unwrap_or_default());
        // Ids and instants begin with a digit or a letter: nothing to guard.
        let or_empty = |cell: Option<String>| Cow::Owned(cell.unwrap_or_default());
        let is_user = self.principal_type == "user";
        [
            Cow::Owned(self.principal_id.to_string()),
            text(&self.principal_name),
            text(if is_user { &self.principal_detail } else { "" }),
            text(principal_type(&self.principal_type)),
            or_empty(decision.map(|decision| instant(decision.decided_at))),
            text(decision.map_or(Verdict::NotReviewed, |decision| decision.verdict).as_str()),
            of_decision(|decision| &decision.justification),
            or_empty(decision.map(|decision| decision.decided_by.id.to_string())),
            of_decision(|decision| &decision.decided_by.display_name),
            of_decision(|decision| &decision.decided_by.user_principal_name),
            of_decision(|decision| &decision.mail),
            of_application(|application| &application.applied_by.display_name),
            of_application(|application| &application.applied_by.user_principal_name),
            of_application(|application| &application.mail),
            or_empty(application.map(|application| instant(application.applied_at))),
            text(self.recommendation.as_str()),
            text(match application {
                Some(ReportedApplication { succeeded: true, .. }) => "applied",
                Some(ReportedApplication { succeeded: false, .. }) | None => "not applied",
            }),
        ]
    }
}

/// The cell as text: with an apostrophe in front where a spreadsheet would calculate it.
pub fn guarded(cell: Cow<'_, str>) -> Cow<'_, str> {
    if cell.starts_with(FORMULA_STARTS) { Cow::Owned(format!("'{cell}")) } else { cell }
}

/// `ReviewType` of a review of such a resource. LC-HIST-10
fn review_type(resource_type: &str) -> &str {
    match resource_type {
        "Group" => "group",
        "ServicePrincipal" => "application",
        "DirectoryRole" => "directory role",
        "AzureRole" => "Azure role",
        "AccessPackageAssignmentPolicy" => "access package",
        other => other,
    }
}

fn principal_type(kind: &str) -> &str {
    match kind {
        "servicePrincipal" => "service principal",
        other => other,
    }
}

/// As the API prints it: UTC with `Z`; the fraction has six digits, or is cut when zero.
fn instant(at: DateTime<Utc>) -> String {
    let format = match at.timestamp_subsec_micros() {
        0 => SecondsFormat::Secs,
        _ => SecondsFormat::Micros,
    };
    at.to_rfc3339_opts(format, true)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cells(row: &ReportRow) -> Vec<Cow<'_, str>> {
        row.review.cells().map(Cow::Borrowed).chain(row.own_cells()).collect()
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn person(number: u128, name: &str) -> Identity {
        Identity {
            id: ObjectId::new(Uuid::from_u128(number)),
            display_name: name.to_owned(),
            user_principal_name: format!("{name}@acme.example"),
        }
    }

    fn facts() -> ReviewFacts {
        ReviewFacts {
            instance_id: InstanceId::new(Uuid::from_u128(1)),
            series_id: Some(DefinitionId::new(Uuid::from_u128(2))),
            resource_type: "ServicePrincipal".to_owned(),
            resource_name: "Payroll".to_owned(),
            resource_id: ObjectId::new(Uuid::from_u128(3)),
            review_name: "=cmd|' /C calc'!A0".to_owned(),
            created_at: at("2026-01-01T00:00:00Z"),
            start_at: at("2026-01-02T00:00:00.000001Z"),
            end_at: at("2026-01-12T00:00:00Z"),
            status: "Applied".to_owned(),
            owner: person(4, "carla"),
        }
    }

    fn row() -> ReportRow {
        ReportRow {
            review: Arc::new(facts().into()),
            principal_id: ObjectId::new(Uuid::from_u128(5)),
            principal_name: "ana".to_owned(),
            principal_detail: "ana@acme.example".to_owned(),
            principal_type: "user".to_owned(),
            decision: Some(ReportedDecision {
                verdict: Verdict::Deny,
                justification: "-1".to_owned(),
                decided_by: person(6, "mia"),
                mail: "mia@mail.example".to_owned(),
                decided_at: at("2026-01-03T00:00:00Z"),
            }),
            recommendation: Recommendation::Approve,
            application: Some(ReportedApplication {
                applied_by: person(7, "olga"),
                mail: "olga@mail.example".to_owned(),
                applied_at: at("2026-01-13T00:00:00Z"),
                succeeded: true,
            }),
        }
    }

    /// LC-HIST-09, LC-HIST-10
    #[test]
    fn a_row_fills_the_thirty_columns_in_their_order() {
        let cells: Vec<_> = HEADER.iter().zip(cells(&row())).map(|(name, cell)| format!("{name}: {cell}")).collect();
        assert_eq!(
            cells,
            [
                "AccessReviewId: 00000000-0000-0000-0000-000000000001",
                "AccessReviewSeriesId: 00000000-0000-0000-0000-000000000002",
                "ReviewType: application",
                "ResourceDisplayName: Payroll",
                "ResourceId: 00000000-0000-0000-0000-000000000003",
                "ReviewName: '=cmd|' /C calc'!A0",
                "CreatedDateTime: 2026-01-01T00:00:00Z",
                "ReviewStartDate: 2026-01-02T00:00:00.000001Z",
                "ReviewEndDate: 2026-01-12T00:00:00Z",
                "ReviewStatus: Applied",
                "OwnerId: 00000000-0000-0000-0000-000000000004",
                "OwnerName: carla",
                "OwnerUPN: carla@acme.example",
                "PrincipalId: 00000000-0000-0000-0000-000000000005",
                "PrincipalName: ana",
                "PrincipalUPN: ana@acme.example",
                "PrincipalType: user",
                "ReviewDate: 2026-01-03T00:00:00Z",
                "ReviewResult: Deny",
                "Justification: '-1",
                "ReviewerId: 00000000-0000-0000-0000-000000000006",
                "ReviewerName: mia",
                "ReviewerUPN: mia@acme.example",
                "ReviewerEmailAddress: mia@mail.example",
                "AppliedByName: olga",
                "AppliedByUPN: olga@acme.example",
                "AppliedByEmailAddress: olga@mail.example",
                "AppliedDate: 2026-01-13T00:00:00Z",
                "AccessRecommendation: Approve",
                "SubmissionResult: applied",
            ]
        );
    }

    #[test]
    fn what_did_not_happen_is_empty() {
        let undecided = ReportRow {
            review: Arc::new(ReviewFacts { series_id: None, ..facts() }.into()),
            principal_type: "servicePrincipal".to_owned(),
            decision: None,
            application: None,
            ..row()
        };
        let cells = cells(&undecided);
        let cell = |name: &str| &*cells[HEADER.iter().position(|column| *column == name).unwrap()];
        assert_eq!(cell("AccessReviewSeriesId"), "00000000-0000-0000-0000-000000000000");
        assert_eq!((cell("PrincipalType"), cell("PrincipalUPN")), ("service principal", ""));
        assert_eq!((cell("ReviewResult"), cell("SubmissionResult")), ("NotReviewed", "not applied"));
        for name in
            ["ReviewDate", "Justification", "ReviewerId", "ReviewerEmailAddress", "AppliedByName", "AppliedDate"]
        {
            assert_eq!(cell(name), "", "{name}");
        }
    }

    proptest! {
        /// LC-HIST-12
        #[test]
        fn no_cell_begins_like_a_formula(text in "[=+@\\-\t\r']?\\PC{0,20}") {
            let cell = guarded(Cow::Borrowed(&text));
            prop_assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']));
        }

        #[test]
        fn a_guarded_cell_still_holds_its_text(text in "[=+@\\-\t\r']?\\PC{0,20}") {
            let cell = guarded(Cow::Borrowed(&text));
            prop_assert!(cell == text.as_str() || cell.strip_prefix('\'') == Some(text.as_str()));
        }

        #[test]
        fn every_cell_is_guarded(text in "[=+@\\-\t\r]\\PC{0,20}") {
            let review = ReviewFacts {
                resource_name: text.clone(),
                review_name: text.clone(),
                owner: Identity { display_name: text.clone(), user_principal_name: text.clone(), ..facts().owner },
                ..facts()
            };
            let hostile = ReportRow {
                review: Arc::new(review.into()),
                principal_name: text.clone(),
                principal_detail: text.clone(),
                decision: row().decision.map(|decision| ReportedDecision {
                    justification: text.clone(),
                    mail: text.clone(),
                    ..decision
                }),
                ..row()
            };
            let cells = cells(&hostile);
            prop_assert!(cells.iter().all(|cell| !cell.starts_with(FORMULA_STARTS)));
            prop_assert_eq!(cells.iter().filter(|cell| cell.starts_with('\'')).count(), 8);
        }
    }
}
